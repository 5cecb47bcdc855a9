"""Requests and answers of all explainers, and batches of one size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from segxai.datasets.selection import background_rows
from segxai.explain.target import Label, Region, Target
from segxai.job.seeds import image_seed
from segxai.networks.network import Network
from segxai.workflow.plugins import load


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


def target_requests(
    network: Network, images: np.ndarray, targets: pd.DataFrame, seed: int
) -> Iterator[Request]:
    """Yield one request per row of a list of targets, when it is needed.

    Parameters
    ----------
    network
    images : ndarray of shape (N, H, W, C)
        Of the data set; may be memory-mapped.
    targets : DataFrame
        Rows of ``results/targets``: image_id, row, kind, channel. The region of a target is where
        the network's logits are above 0 for the clean image.
    seed
        Seed of the study; random draws of an image depend on it and the image's name only.

    Yields
    ------
    Request
    """
    for target in targets.itertuples():
        inputs = network.inputs(images[target.row][None])
        generator = torch.Generator().manual_seed(image_seed(seed, target.image_id))
        channel = int(target.channel)
        asked = Label(channel) if target.kind == "label" else region(network, inputs, channel)
        yield Request(inputs[0], asked, generator)


def bound_explainer(
    definition: dict, network: Network, images: np.ndarray, samples: pd.DataFrame, seed: int
) -> Callable[[Network, Iterable[Request]], Iterator[Attribution]]:
    """Load an explainer with its settings, and its background images if it needs them.

    Parameters
    ----------
    definition
        ``explainers.<name>`` of the configuration.
    network
        Network whose inputs the background images become.
    images, samples
        Of the data set: ndarray of shape (N, H, W, C), and ``samples.csv``.
    seed
        Of the draw of background images.
    """
    method, settings = load("explainers", definition)
    if "background" in settings:
        rows = background_rows(samples, settings["background"], seed)
        settings["background"] = torch.cat([network.inputs(images[row][None]) for row in rows])
    return partial(method.explain, **settings)


@torch.no_grad()
def region(network: Network, inputs: torch.Tensor, channel: int) -> Region:
    """Fixed region of a channel that a segmenter predicts in (1, C, S, S): logits above 0."""
    return Region(channel, network.module(inputs)[0, channel] > 0)


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
