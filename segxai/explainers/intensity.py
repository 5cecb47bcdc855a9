"""Control: the image itself, or its negative."""

from collections.abc import Iterable, Iterator

from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network

ABOUT = {
    "title": "Intensity", "cites": "",
    "needs": [],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "sign": {"enum": ["bright", "dark"], "default": "bright",
                 "description": "Whether bright or dark pixels have large values"},
    },
}  # fmt: skip


def explain(network: Network, requests: Iterable[Request], sign: str) -> Iterator[Attribution]:
    """Give the mean intensity over channels, above the darkest pixel or below the brightest.

    Where findings are bright or dark this is hard to beat.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative, at no pass
        of the network.
    """
    for request in requests:
        image = network.grey(request.inputs[None])[0]
        values = image - image.min() if sign == "bright" else image.max() - image
        yield Attribution(values, float("nan"), 0, 0)
