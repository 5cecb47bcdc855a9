"""Control: random numbers, one for each pixel."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network

ABOUT = {
    "title": "Random pixels", "cites": "",
    "needs": [],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {},
}  # fmt: skip


def explain(network: Network, requests: Iterable[Request]) -> Iterator[Attribution]:
    """Draw each pixel from 0…1, independently: what any explainer must be better than.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative, at no pass
        of the network.
    """
    for request in requests:
        values = torch.rand(1, *request.inputs.shape[1:], generator=request.generator)
        yield Attribution(values.to(request.inputs), float("nan"), 0, 0)
