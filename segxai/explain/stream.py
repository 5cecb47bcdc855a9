"""What all explainers share: requests, answers, and batches of one size whatever is asked."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

# F: maps inputs (B, 3, H, W) and classes (B,) to scores (B,), here logits.
Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Request(NamedTuple):
    """One image to explain: its windows (W, 3, H, W), a class, and the source of its noise."""

    inputs: torch.Tensor
    target: int
    generator: torch.Generator


@dataclass(frozen=True)
class Attribution:
    """What each pixel contributed, what that must sum to, and what it cost.

    `values` is (W, 3 or 1, H, W), float32; `gain` is NaN for methods that promise no sum.
    `gradients` counts forward-backward passes of one input, `forwards` forward passes of one input.
    """

    values: torch.Tensor
    gain: float
    gradients: int
    forwards: int

    @property
    def completeness_error(self) -> float:
        """Relative completeness error, see :func:`completeness_error`."""
        return completeness_error(self.values, self.gain)


def completeness_error(attribution: torch.Tensor, gain: float) -> float:
    """Relative completeness error ``|Σ attribution − gain| / |gain|``; NaN where the gain is 0."""
    return abs(attribution.double().sum().item() - gain) / abs(gain) if gain else float("nan")


def padded(rows: torch.Tensor, size: int) -> torch.Tensor:
    """Repeat the last of some rows (n, …) until there are `size`.

    Kernels choose their order of sums by the shape of a batch. With one shape for all, a result
    depends, to the last bit, neither on its place in the batch nor on what else is in it.
    """
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])


def gradients(
    score: Score, points: torch.Tensor, targets: torch.Tensor, batch_size: int
) -> torch.Tensor:
    """Gradients of scores at at most `batch_size` points (n, 3, H, W), in one pass."""
    n = len(points)
    points = padded(points, batch_size).requires_grad_()
    (found,) = torch.autograd.grad(score(points, padded(targets, batch_size)).sum(), points)
    return found[:n]


@torch.no_grad()
def scores(
    score: Score, inputs: torch.Tensor, targets: torch.Tensor, batch_size: int
) -> torch.Tensor:
    """Scores (n,) of any number of inputs (n, 3, H, W), in passes of `batch_size`."""
    batches = zip(inputs.split(batch_size), targets.split(batch_size), strict=True)
    found = [score(padded(x, batch_size), padded(y, batch_size))[: len(x)] for x, y in batches]
    return torch.cat(found)
