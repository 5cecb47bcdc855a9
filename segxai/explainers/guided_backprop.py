"""Guided backpropagation: gradients along paths of positive gradients alone; a negative control."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from segxai.explain.backward_rules import ACTIVATIONS, changed, leaf_kinds
from segxai.explain.stream import Attribution, Request, request_gradients
from segxai.job.log import InputError
from segxai.networks.network import Network

ABOUT = {
    "title": "Guided backpropagation", "cites": "arXiv:1412.6806", "needs": ["gradients"],
    "suits": ["convolutional"], "targets": ["label", "region"], "signed": False, "complete": False,
    "settings": {
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, **_) -> None:
    """Refuse a network whose activations are not all ReLU: it would be the plain gradient there."""
    kinds = leaf_kinds(network.module)
    if "ReLU" not in kinds or kinds & ACTIVATIONS:
        has = ", ".join(sorted(kinds & ACTIVATIONS)) or "no such layer"
        raise InputError(
            f"explainers: guided_backprop changes ReLU layers, and {type(network.module).__name__} "
            f"has {has}; choose an architecture with ReLU alone, such as resnet50 or densenet121."
        )


def explain(
    network: Network, requests: Iterable[Request], batch_size: int
) -> Iterator[Attribution]:
    r"""Attribute targets F by gradients that each ReLU passes on where they are positive.

    .. math:: R = \frac{\partial F}{\partial \mathrm{relu}(z)} \, 1[z > 0] \,
              1\left[\frac{\partial F}{\partial \mathrm{relu}(z)} > 0\right]

    in place of ∂F/∂z; of what arrives at a pixel, the magnitude (Springenberg et al.,
    arXiv:1412.6806). The maps hardly depend on the target or on the upper layers (Adebayo et al.,
    arXiv:1810.03292): they are expected to fail the randomisation test, and serve as a negative
    control.

    Parameters
    ----------
    network
        All its activations are layers ``torch.nn.ReLU``.
    requests
        Inputs with the target F that is explained; read as they are needed.
    batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, (C, H, W). They promise no sum.
    """
    network = replace(network, module=changed(deepcopy(network.module), _guided))
    for _, slopes, _ in request_gradients(network, requests, batch_size):
        yield Attribution(slopes.abs(), float("nan"), 1, 0)


class _Positive(torch.autograd.Function):
    """The same values; backwards the positive part of the gradient."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slopes):
        return slopes.clamp(min=0)


class _Guided(nn.Module):
    """ReLU that passes on positive gradients alone."""

    def forward(self, x):
        return _Positive.apply(x.relu())


def _guided(part: nn.Module) -> nn.Module:
    return _Guided() if type(part) is nn.ReLU else part
