"""Grad-CAM of the last feature map."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import weighed
from segxai.explain.stream import Attribution, Request
from segxai.networks.features import feature_layer
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
    feature_layer(network, layer, "grad_cam")


def explain(
    network: Network, requests: Iterable[Request], layer: str, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by the last feature map.

    .. math:: M = \max\left(0, \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c\right)

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2),
    upsampled bilinearly to the input. Of a region of a segmenter's output this is Seg-Grad-CAM
    (Vinogradova et al., AAAI 2020, arXiv:2002.11434).

    Parameters
    ----------
    network
        A convolutional one.
    requests
        Inputs with the target F that is explained; read as they are needed.
    layer, batch_size
        As of `ABOUT`; what A is, see :func:`segxai.networks.features.feature_layer`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative: zero where
        nothing speaks for the target. They promise no sum.

    Raises
    ------
    InputError
        See :func:`segxai.networks.features.feature_layer`.
    """
    yield from weighed(
        network, requests, feature_layer(network, layer, "grad_cam"), batch_size, combine
    )


def combine(activations: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Weigh feature maps (B, K, h, w) by their mean gradients: maps (B, h, w)."""
    return (slopes.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1).relu()
