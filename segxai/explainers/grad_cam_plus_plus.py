"""Grad-CAM++: feature maps weighed by their positive gradients alone."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import weighed
from segxai.explain.stream import Attribution, Request
from segxai.networks.features import feature_layer
from segxai.networks.network import Network

ABOUT = {
    "title": "Grad-CAM++", "cites": "arXiv:1710.11063",
    "needs": ["gradients", "activations"],
    "suits": ["convolutional"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "stage": {
            "type": "integer", "minimum": 1, "default": 1,
            "description": "Which feature map of those that the network lists: 1 the last, 2 the "
                           "one before (stage 3 of a ResNet), …",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, stage: int, **_) -> None:
    """Refuse a network without the feature map, see :func:`feature_layer`."""
    feature_layer(network, stage, "grad_cam_plus_plus")


def explain(
    network: Network, requests: Iterable[Request], stage: int, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by a feature map and the positive part of its gradients g.

    .. math:: M = \max\left(0, \sum_k A_k \sum_{ij} \alpha_{kij} \max(0, g_{kij})\right), \quad
              \alpha = \frac{g^2}{2 g^2 + S_k g^3} = \frac{1}{2 + S_k g}, \quad
              S_k = \sum_{ij} \max(0, A_{kij})


    At the last map before global pooling gradients are constant and small beside 1/S, so that α is
    about ½ and this is *positive Grad-CAM*: what speaks against the target is left out. A negative
    label of several that may share an image therefore looks like a finding.

    Differs from the paper and from ``pytorch-grad-cam`` as S sums positive activations, where they
    sum all: the same after a ReLU, and no pole for layers without. No ε is needed then. Targets are
    logits; the paper derives α for their exponential.

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
    Chattopadhyay et al., WACV 2018, arXiv:1710.11063.
    """
    layer = feature_layer(network, stage, "grad_cam_plus_plus")
    yield from weighed(network, requests, layer, batch_size, combine)


def combine(activations: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Weigh feature maps (B, K, h, w) by their positive gradients: maps (B, h, w)."""
    positive = slopes.relu()
    alpha = 1 / (2 + activations.relu().sum(dim=(2, 3), keepdim=True) * positive)
    weights = (alpha * positive).sum(dim=(2, 3), keepdim=True)
    return (weights * activations).sum(dim=1).relu()
