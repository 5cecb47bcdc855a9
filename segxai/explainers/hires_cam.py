"""HiResCAM: gradient × activation at each position of a feature map."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import weighed
from segxai.explain.stream import Attribution, Request
from segxai.networks.features import feature_layer
from segxai.networks.network import Network

ABOUT = {
    "title": "HiResCAM", "cites": "arXiv:2011.08891",
    "needs": ["gradients", "activations"],
    "suits": ["convolutional"], "targets": ["label", "region"], "signed": True,
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
    feature_layer(network, stage, "hires_cam")


def explain(
    network: Network, requests: Iterable[Request], stage: int, batch_size: int
) -> Iterator[Attribution]:
    r"""Attribute targets to the positions of a feature map.

    .. math:: M = \sum_k g_k \circ A_k, \quad g_k = \frac{\partial F}{\partial A_k}


    upsampled bilinearly to the input. Where all that follows the map is a pooling and one linear
    layer with bias b, M sums to F − b before it is upsampled, and its positive part is Grad-CAM.

    Differs from ``pytorch-grad-cam`` in that negative values are kept.

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
        One per request, in their order, with maps (1, H, W). They promise no sum.

    Raises
    ------
    InputError
        As of :func:`segxai.networks.features.feature_layer`.

    References
    ----------
    R. L. Draelos et al., arXiv:2011.08891.
    """
    layer = feature_layer(network, stage, "hires_cam")
    yield from weighed(network, requests, layer, batch_size, combine)


def combine(activations: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Multiply feature maps (B, K, h, w) by their gradients: maps (B, h, w)."""
    return (slopes * activations).sum(dim=1)
