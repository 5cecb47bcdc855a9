"""Control: a Gaussian in the centre, where photographers put what matters."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network

ABOUT = {
    "title": "Centre Gaussian", "cites": "",
    "needs": [],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {},
}  # fmt: skip


def explain(network: Network, requests: Iterable[Request]) -> Iterator[Attribution]:
    r"""Give every image the same map.

    .. math:: M_{ij} = \exp\left(-\frac{(i - c)^2 + (j - c)^2}{2 \sigma^2}\right), \quad
              \sigma = S / 4

    with c the centre and S the side of the input.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative, at no pass
        of the network.
    """
    side = network.input_size
    distances = torch.arange(side, device=network.device) - (side - 1) / 2
    bell = (-0.5 * (distances / (side / 4)) ** 2).exp()
    for _ in requests:
        yield Attribution((bell[:, None] * bell)[None], float("nan"), 0, 0)
