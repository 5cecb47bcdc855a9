"""Gradient: how a target changes with each pixel."""

from collections.abc import Iterable, Iterator

from segxai.explain.stream import Attribution, Request, request_gradients
from segxai.networks.network import Network

ABOUT = {
    "title": "Gradient", "cites": "arXiv:1312.6034", "needs": ["gradients"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network, requests: Iterable[Request], batch_size: int
) -> Iterator[Attribution]:
    r"""Attribute targets F to pixels by :math:`|\partial F / \partial x_i|`.

    The sign of a slope says whether a brighter pixel would raise the target, not whether the pixel
    speaks for it; so magnitudes are the attribution. Differs from Simonyan et al.
    (arXiv:1312.6034), who take the largest over channels: stored maps hold the sum
    (:class:`segxai.explain.maps.StoredMap`).

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, (C, H, W). They promise no sum.
    """
    for _, slopes, _ in request_gradients(network, requests, batch_size):
        yield Attribution(slopes.abs(), float("nan"), 1, 0)
