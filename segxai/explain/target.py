"""Targets: functions of a network's output whose value, one number per image, is explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch


class Label(NamedTuple):
    """The logit of one class of a classifier."""

    index: int


@dataclass(frozen=True, eq=False)
class Region:
    """The mean logit of a segmenter over pixels that stay the same while the input changes."""

    channel: int  # of the output
    mask: torch.Tensor  # bool (h, w): pixels of the output for the clean image, at least one


Target = Label | Region


def evaluate(output: torch.Tensor, targets: Sequence[Target]) -> torch.Tensor:
    r"""Evaluate one target per image; gradients flow back to the output.

    .. math:: F_{label} = f_k, \quad F_{region} = \frac{\sum_{ij} M_{ij} f_{kij}}{\sum_{ij} M_{ij}}

    with logits f before softmax or sigmoid. The mean over a region is the target of Seg-Grad-CAM
    (Vinogradova et al., AAAI 2020, arXiv:2002.11434) divided by the area, which keeps the target in
    the units of a logit whatever the size of the region.

    Parameters
    ----------
    output : Tensor of shape (B, K) or (B, K, h, w)
        Logits of a classifier or a segmenter.
    targets : sequence of Label or of Region, (B,)

    Returns
    -------
    Tensor of shape (B,)
    """
    kind = Label if output.ndim == 2 else Region
    if not all(isinstance(target, kind) for target in targets):
        raise ValueError(f"an output of shape {tuple(output.shape)} needs targets {kind.__name__}.")
    images = torch.arange(len(output), device=output.device)
    if kind is Label:
        return output[images, [target.index for target in targets]]
    logits = output[images, [target.channel for target in targets]]
    masks = torch.stack([target.mask for target in targets]).to(logits)
    return (logits * masks).sum(dim=(1, 2)) / masks.sum(dim=(1, 2))


def log_odds(output: torch.Tensor, targets: Sequence[Target], exclusive: bool) -> torch.Tensor:
    r"""Log-odds of one target per image; its sigmoid is the target's probability.

    .. math:: f_k - \log \sum_{j \ne k} e^{f_j}

    of a label among classes that exclude each other (softmax); the target itself of all others.

    Parameters
    ----------
    output, targets
        As of :func:`evaluate`.
    exclusive
        Whether the classes exclude each other.

    Returns
    -------
    Tensor of shape (B,)
    """
    values = evaluate(output, targets)
    if not exclusive or output.ndim > 2:
        return values
    indices = torch.tensor([[target.index] for target in targets], device=output.device)
    return values - output.scatter(1, indices, -torch.inf).logsumexp(dim=1)
