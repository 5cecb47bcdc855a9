"""Windows of an image, each explained by itself, and put together into one map of the image."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice, product
from math import ceil

import torch
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request
from segxai.job.seeds import image_seed
from segxai.networks.network import Network

# Rows and columns of an image.
Window = tuple[slice, slice]


def map_side(input_size: int, image_side: int, grids: Sequence[int]) -> int:
    """Side in px of maps, and of the inputs of requests, that are explained by windows.

    The network sees a window of 1/g of the image at its whole input size, so that a map of g times
    that side holds the attributions of the finest windows without resampling. A map finer than the
    images would need more room and show no more.
    """
    return max(input_size, min(input_size * max(grids), image_side))


def windowed(
    explain: Callable[[Network, Iterable[Request]], Iterator[Attribution]],
    network: Network,
    requests: Iterable[Request],
    side: int,
    grids: Sequence[int],
    overlap: float,
) -> Iterator[Attribution]:
    r"""Explain the windows of each image for its target, and put their attributions together.

    .. math:: A_i = \frac1{|G|} \sum_{g \in G} \frac1{|\{W \in g, W \ni i\}|}
              \sum_{W \in g, W \ni i} A^W_i

    with the attribution A^W of a window W, resized to it with its sum (:func:`spread`): windows are
    averaged where they overlap, then scales.

    Parameters
    ----------
    explain
        Explainer with its settings. It sees windows at the network's input size and knows of no
        others; each has random numbers of its own.
    network
    requests
        Inputs (C, side, side) with the label that is explained; read as they are needed.
    side
        As of :func:`map_side`.
    grids, overlap
        Scales G and overlap of windows, see :func:`spans`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (C, side, side) or (1, side, side), and the
        passes of all windows. The gain is what the map would sum to if the attribution of each
        window summed to its own gain, the rest spread evenly over the window: of windows without
        overlap the sum of their gains, averaged over scales.
    """
    layouts = [[*product(spans(side, grid, overlap), repeat=2)] for grid in grids]
    windows = [window for layout in layouts for window in layout]
    parts = (part for request in requests for part in _cut(network, request, windows))
    attributions = explain(network, parts)
    while own := list(islice(attributions, len(windows))):
        yield _joined(own, layouts, side)


def spans(side: int, grid: int, overlap: float) -> list[slice]:
    """Windows along a side of an image in px, each 1/grid of it, evenly from edge to edge.

    As few as give neighbours the `overlap`, a share of their length, or more. Without it they meet.
    """
    # Rounding must not add a window.
    n = ceil((grid - 1) / (1 - overlap) - 1e-9) + 1
    length, step = Fraction(side, grid), Fraction(side * (grid - 1), grid * max(n - 1, 1))
    return [slice(round(k * step), round(k * step + length)) for k in range(n)]


def spread(values: torch.Tensor, shape: tuple[int, int]) -> torch.Tensor:
    """Resize an attribution (…, h, w) to a shape (H, W) so that its sum stays.

    A pixel's value is divided among the new pixels by the shares of its area that they cover.
    """
    if values.shape[-2:] == shape:
        return values
    sizes = zip(values.shape[-2:], shape, strict=True)
    rows, columns = (_shares(*size).to(values) for size in sizes)
    return rows @ values @ columns.T


def _shares(old: int, new: int) -> torch.Tensor:
    """Share of each of the old pixels of a side that each of the new ones covers: (new, old)."""
    # In units in which both sides have old · new.
    start, other = torch.arange(new)[:, None] * old, torch.arange(old) * new
    common = torch.minimum(start + old, other + new) - torch.maximum(start, other)
    return common.clamp(min=0).double() / new


def _cut(network: Network, request: Request, windows: Sequence[Window]) -> Iterator[Request]:
    """Ask the same of each window of an image, resized to the network's input."""
    size = network.input_size, network.input_size
    for place, (rows, columns) in enumerate(windows):
        inputs, generator = request.inputs[:, rows, columns], request.generator
        if inputs.shape[-2:] != size:
            inputs = F.interpolate(inputs[None], size, mode="bilinear", antialias=True)[0]
        if place:
            seed = image_seed(generator.initial_seed(), f"window {place}")
            generator = torch.Generator().manual_seed(seed)
        yield request._replace(inputs=inputs, generator=generator)


def _joined(
    attributions: Sequence[Attribution], layouts: Sequence[Sequence[Window]], side: int
) -> Attribution:
    """Put the attributions of all windows of an image together, scale by scale."""
    first, waiting, rest = attributions[0].values, iter(attributions), 0.0
    total = first.new_zeros(len(first), side, side)
    for layout in layouts:
        values, covered = torch.zeros_like(total), first.new_zeros(side, side)
        for rows, columns in layout:
            covered[rows, columns] += 1
        for rows, columns in layout:
            attribution, counts = next(waiting), covered[rows, columns]
            values[:, rows, columns] += spread(attribution.values, counts.shape)
            missing = attribution.gain - attribution.values.double().sum().item()
            rest += missing * (1 / counts).mean().item() / len(layouts)
        total += values / covered / len(layouts)
    passes = zip(*((part.gradients, part.forwards) for part in attributions), strict=True)
    return Attribution(total, total.double().sum().item() + rest, *map(sum, passes))
