"""Counterfactual mask: the small, smooth region whose removal takes the target away."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain import removal
from segxai.explain.activations import upsampled
from segxai.explain.counterfactual import descend
from segxai.explain.stream import Attribution, Request, batches
from segxai.networks.network import Network
from segxai.views.grey import pixels

ABOUT = {
    "title": "Counterfactual mask", "cites": "arXiv:1704.03296; arXiv:1910.08485",
    "needs": ["gradients"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "cells": {"type": "integer", "minimum": 1, "default": 14,
                  "description": "Cells of the mask per side"},
        "steps": {"type": "integer", "minimum": 1, "default": 100,
                  "description": "Steps of Adam"},
        "learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.1,
                          "description": "Of Adam"},
        "area_weight": {"type": "number", "minimum": 0, "default": 1.0,
                        "description": "Weight of the mask's share of the image"},
        "variation_weight": {"type": "number", "minimum": 0, "default": 0.2,
                             "description": "Weight of the mask's mean difference between "
                                            "neighbouring cells"},
        "fill": {"enum": ["blur", "black", "mean"], "default": "blur",
                 "description": "What is hidden is blurred, black or the mean colour"},
        "blur": {"type": "number", "exclusiveMinimum": 0, "default": 20,
                 "description": "Standard deviation of the blur, in pixels at 224 px"},
        "moved": {"type": "boolean", "default": False,
                  "description": "Control: move the mask by half the image, down and right, around "
                                 "its borders"},
        "batch_size": {"type": "integer", "minimum": 1, "default": 10,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    cells: int,
    steps: int,
    learning_rate: float,
    area_weight: float,
    variation_weight: float,
    fill: str,
    blur: float,
    moved: bool,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Explain targets by where their images must be hidden for them to vanish.

    .. math:: \min_q \; \frac{p(z)}{p(x)} + \lambda_a \overline m + \lambda_v TV(\sigma(q)), \quad
              m = up(\sigma(q)), \quad z = (1 - m) \circ x + m \circ b

    with p the probability of the target, of a region the sigmoid of its mean logit, and the fill b,
    by default the blurred image (:func:`segxai.explain.removal.fill`). q has few
    cells, upsampled bilinearly: a mask of single pixels would find an adversarial pattern, see
    :mod:`segxai.explainers.pixel_counterfactual`.

    Differs from Fong & Vedaldi and from TorchRay in its few, fixed parts: one level of blur, no
    jitter (which would mirror images), no schedule of weights.

    `moved` gives the control: the same mask, of equal area and form, at another place. Where the
    mask explains, hiding what it marks lowers the target and hiding what the moved one marks does
    not.

    Parameters
    ----------
    network
    requests
        Inputs with the target that is explained; read as they are needed.
    cells, …
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, with masks (1, H, W) in 0…1. They promise no sum. Zero
        everywhere where the search found no mask that lowers the probability.

    References
    ----------
    Fong & Vedaldi, ICCV 2017, arXiv:1704.03296; Fong et al., ICCV 2019, arXiv:1910.08485.
    """
    for batch, inputs, targets in batches(requests, batch_size):
        size = inputs.shape[-2:]
        hidden = removal.fill(network, inputs, fill, sigma=pixels(blur, size))

        def mask(q, inputs=inputs):
            return upsampled(q.sigmoid()[:, 0], inputs)

        def changed(q, inputs=inputs, hidden=hidden, mask=mask):
            return torch.lerp(inputs, hidden, mask(q))

        def penalty(q, mask=mask):
            area = mask(q).mean(dim=(1, 2, 3))
            return area_weight * area + variation_weight * total_variation(q.sigmoid())

        start = inputs.new_zeros(batch_size, 1, cells, cells)
        q, lowers = descend(network, inputs, targets, start, changed, penalty, steps, learning_rate)
        masks = mask(q) * lowers.view(-1, 1, 1, 1)
        if moved:
            masks = masks.roll([side // 2 for side in size], dims=(2, 3))
        for values in masks[: len(batch)]:
            yield Attribution(values, float("nan"), gradients=steps, forwards=2)


def total_variation(maps: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference between neighbours of maps (B, 1, h, w): (B,)."""
    down = maps.diff(dim=2).abs().flatten(1).sum(dim=1)
    right = maps.diff(dim=3).abs().flatten(1).sum(dim=1)
    return (down + right) / maps[0].numel()
