"""Requests and answers of all explainers, and batches of one size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch

from segxai.explain.target import Target
from segxai.networks.network import Network


class Request(NamedTuple):
    """One explanation to make: an input (C, H, W), the target and the random generator."""

    inputs: torch.Tensor
    target: Target
    generator: torch.Generator


@dataclass(frozen=True)
class Attribution:
    """Contribution of each pixel, the sum that it must reach, and its cost.

    `values` is (C, H, W) or (1, H, W), float32; `gain` is NaN for methods without a sum to reach.
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


def batches(
    requests: Iterable[Request], batch_size: int
) -> Iterator[tuple[list[Request], torch.Tensor, list[Target]]]:
    """Take requests as they come: those of a batch, and its padded inputs and targets."""
    waiting = iter(requests)
    while batch := list(islice(waiting, batch_size)):
        inputs = padded(stacked(request.inputs for request in batch), batch_size)
        yield batch, inputs, padded_list([request.target for request in batch], batch_size)


def stacked(inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """Stack inputs (C, H, W) to (B, C, H, W), laid out in memory as :meth:`Network.inputs` does.

    Kernels round differently for another layout.
    """
    return torch.stack(list(inputs)).contiguous(memory_format=torch.channels_last)


def padded(rows: torch.Tensor, size: int) -> torch.Tensor:
    """Repeat the last of some rows (n, …) until there are `size`.

    Kernels choose their order of summation by the shape and memory layout of a batch. With one
    shape and layout for all batches, a result is bit-identical for any place in the batch and any
    other content of it.
    """
    rest = rows[-1:].expand(size - len(rows), *rows.shape[1:])
    return torch.cat([rows, rest]).contiguous()


def gradients(
    network: Network, points: torch.Tensor, targets: Sequence[Target], batch_size: int
) -> torch.Tensor:
    """Gradients of targets at at most `batch_size` points (n, C, H, W), in one pass."""
    n = len(points)
    points = padded(points, batch_size).requires_grad_()
    score = network.score()(points, padded_list(targets, batch_size))
    (slopes,) = torch.autograd.grad(score.sum(), points)
    return slopes[:n]


def request_gradients(
    network: Network, requests: Iterable[Request], batch_size: int
) -> Iterator[tuple[Request, torch.Tensor, float]]:
    """Give each request with the gradient (C, H, W) of its target at its input, and the value.

    One forward-backward pass of each input; requests are read as they are needed, in batches of one
    size.
    """
    score = network.score()
    for batch, points, targets in batches(requests, batch_size):
        values = score(points.requires_grad_(), targets)
        (slopes,) = torch.autograd.grad(values.sum(), points)
        yield from zip(batch, slopes[: len(batch)], values.tolist(), strict=False)


@torch.no_grad()
def scores(
    network: Network, inputs: torch.Tensor, targets: Sequence[Target], batch_size: int
) -> torch.Tensor:
    """Targets' values (n,) at any number of inputs (n, C, H, W), in passes of `batch_size`."""
    score, values = network.score(), []
    for start in range(0, len(inputs), batch_size):
        x, asked = inputs[start : start + batch_size], targets[start : start + batch_size]
        values.append(score(padded(x, batch_size), padded_list(asked, batch_size))[: len(x)])
    return torch.cat(values)


@torch.no_grad()
def batched_outputs(network: Network, inputs: torch.Tensor, batch_size: int) -> torch.Tensor:
    """Logits (n, K) or (n, K, h, w) of n inputs, in passes of `batch_size`."""
    batches = inputs.split(batch_size)
    return torch.cat([network.outputs(padded(x, batch_size))[: len(x)] for x in batches])


def padded_list(targets: Sequence[Target], size: int) -> list[Target]:
    """Repeat the last of some targets until there are `size`, as :func:`padded` does of rows."""
    return [*targets, *[targets[-1]] * (size - len(targets))]
