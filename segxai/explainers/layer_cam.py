"""Layer-CAM: each position of a feature map weighed by its own positive gradient."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import weighed
from segxai.explain.stream import Attribution, Request
from segxai.networks.features import feature_layer
from segxai.networks.network import Network

ABOUT = {
    "title": "Layer-CAM", "cites": "doi:10.1109/TIP.2021.3089943",
    "needs": ["gradients", "activations"],
    "suits": ["convolutional"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "stage": {
            "type": "integer", "minimum": 1, "default": 2,
            "description": "Which feature map of those that the network lists: 1 the last, 2 the "
                           "one before (stage 3 of a ResNet), …",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, stage: int, **_) -> None:
    """Refuse a network without the feature map, see :func:`feature_layer`."""
    feature_layer(network, stage, "layer_cam")


def explain(
    network: Network, requests: Iterable[Request], stage: int, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by a feature map of any stage, position by position.

    .. math:: M = \max\left(0, \sum_k \max(0, g_k) \circ A_k\right), \quad
              g_k = \frac{\partial F}{\partial A_k}


    upsampled bilinearly to the input. The default stage has four times the positions of the last.

    Differs from the paper in that maps of early stages are not rescaled by tanh, which it does to
    fuse them with others.

    Parameters
    ----------
    network
        A convolutional one.
    requests
        Inputs with the target F that is explained; read as they are needed.
    stage, batch_size
        As of `ABOUT`; what A is, see :func:`segxai.networks.features.feature_layer`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative.
        They promise no sum.

    Raises
    ------
    InputError
        As of :func:`segxai.networks.features.feature_layer`.

    References
    ----------
    Jiang et al., IEEE Transactions on Image Processing 30 (2021).
    """
    layer = feature_layer(network, stage, "layer_cam")
    yield from weighed(network, requests, layer, batch_size, combine)


def combine(activations: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Weigh feature maps (B, K, h, w) by positive gradients in place: maps (B, h, w)."""
    return (slopes.relu() * activations).sum(dim=1).relu()
