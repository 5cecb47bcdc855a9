"""Eigen-CAM: the first principal component of a feature map, a control that sees no class."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import activations, upsampled
from segxai.explain.stream import Attribution, Request, batches
from segxai.networks.features import feature_layer
from segxai.networks.network import Network

ABOUT = {
    "title": "Eigen-CAM", "cites": "arXiv:2008.00299",
    "needs": ["activations"],
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
    feature_layer(network, stage, "eigen_cam")


def explain(
    network: Network, requests: Iterable[Request], stage: int, batch_size: int
) -> Iterator[Attribution]:
    r"""Project the feature map of each image on its first principal component.

    .. math:: M = \max(0, \pm B v_1), \quad B_{ik} = A_{ik} - \frac1Z \sum_j A_{jk}

    with v₁ the first right singular vector of B (Z, K), upsampled bilinearly to the input. The sign
    is that of the projection's largest absolute value. All targets of an image have this map: what
    an explainer of a target is worth shows against it.

    Differs from ``pytorch-grad-cam`` in the sign, which a singular vector leaves open, and in the
    computation: eigenvectors of the smaller Gram matrix in place of all singular vectors.

    Parameters
    ----------
    network
        A convolutional one.
    requests
        Inputs; their targets are not read.
    stage, batch_size
        As of `ABOUT`; what A is, see :func:`segxai.networks.features.feature_layer`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative. They promise
        no sum.

    Raises
    ------
    InputError
        As of :func:`segxai.networks.features.feature_layer`.

    References
    ----------
    Muhammad & Yeasin, IJCNN 2020, arXiv:2008.00299.
    """
    layer = feature_layer(network, stage, "eigen_cam")
    for batch, inputs, _ in batches(requests, batch_size):
        for maps in activations(network, inputs, layer)[: len(batch)]:
            values = first_component(maps).relu()
            yield Attribution(upsampled(values[None], inputs)[0], float("nan"), 0, 1)


def first_component(maps: torch.Tensor) -> torch.Tensor:
    """Project feature maps (K, h, w) on their first principal component: (h, w).

    Its largest absolute value is positive.
    """
    rows = maps.flatten(1).T.double()
    rows = rows - rows.mean(dim=0)
    positions, channels = rows.shape
    if positions <= channels:
        variances, vectors = torch.linalg.eigh(rows @ rows.T)
        projection = vectors[:, -1] * variances[-1].clamp(min=0).sqrt()
    else:
        projection = rows @ torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -1]
    sign = projection[projection.abs().argmax()].sign()
    return (sign * projection).view(maps.shape[1:]).to(maps)
