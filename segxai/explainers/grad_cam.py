"""Grad-CAM of the last feature map."""

from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request, padded, padded_list, stacked
from segxai.job.log import log
from segxai.networks.features import feature_layer, outputs_of
from segxai.networks.network import Network

ABOUT = {
    "title": "Grad-CAM", "cites": "arXiv:1610.02391; arXiv:2002.11434",
    "needs": ["gradients", "activations"],
    "suits": ["convolutional"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "layer": {
            "enum": ["features", "convolution"], "default": "convolution",
            "description": "The last feature map, or the last convolution before the head (SegX), "
                           "that has positions",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, layer: str, **_) -> None:
    """Refuse a network without such a feature map, see :func:`feature_layer`."""
    feature_layer(network, layer)


def explain(
    network: Network, requests: Iterable[Request], layer: str, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by the last feature map.

    .. math:: M = \max\left(0, \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c\right)

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2),
    upsampled bilinearly to the input. For a region of a segmenter's output, this is Seg-Grad-CAM
    (Vinogradova et al., AAAI 2020, arXiv:2002.11434).

    Parameters
    ----------
    network
        A convolutional network.
    requests
        Inputs with the explained target F; read when needed.
    layer, batch_size
        Settings of `ABOUT`; :func:`segxai.networks.features.feature_layer` gives A.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) ≥ 0: zero where there is no evidence
        for the target. They need not sum to a known value.

    Raises
    ------
    InputError
        See :func:`segxai.networks.features.feature_layer`.
    """
    score, layer = network.score(), feature_layer(network, layer)
    log.info("Grad-CAM weighs %s: %d channels at %d × %d positions", layer.name, *layer.shape)
    waiting = iter(requests)
    while batch := list(islice(waiting, batch_size)):
        inputs = padded(stacked(request.inputs for request in batch), batch_size)
        targets = padded_list([request.target for request in batch], batch_size)
        # With frozen weights there is no graph, so gradients are requested at the input.
        with outputs_of([layer.module]) as outputs:
            values = score(inputs.detach().requires_grad_(), targets)
        activations = outputs[layer.module]
        (slopes,) = torch.autograd.grad(values.sum(), activations)
        slopes, activations = (layer.channels_first(x.detach()) for x in (slopes, activations))
        maps = (slopes.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1, keepdim=True)
        maps = F.interpolate(
            maps.relu().float(), inputs.shape[-2:], mode="bilinear", align_corners=False
        )
        for values in maps[: len(batch)]:
            yield Attribution(values, float("nan"), 1, 0)
