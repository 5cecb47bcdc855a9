"""Search for a segmenter's settings on validation images."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import numpy as np

from segxai.metrics.overlap import dice
from segxai.segmenters.chain import Item, apply


def candidates(defaults: dict, grid: dict[str, list]) -> list[dict]:
    """All combinations of the values that `grid` lists for some keys of a method's settings.

    Complete settings; `defaults` come first, listed or not.
    """
    axes = [
        [defaults[key], *(value for value in values if value != defaults[key])]
        for key, values in grid.items()
    ]
    return [defaults | dict(zip(grid, values, strict=True)) for values in product(*axes)]


def trial_scores(
    item: tuple[Item, np.ndarray],
    view: Callable,
    segment: Callable,
    view_settings: Sequence[dict],
    segmenter_settings: Sequence[dict],
) -> list[float]:
    """Dice of the masks of one target for each pair of settings, with the view's outermost.

    `item` also holds the true mask (H, W), which is not empty: every pair is scored on the same
    images, as in the tables. `view` and `segment` are functions of a view's and a segmenter's
    module.
    """
    explained, truth = item
    scores = []
    for chosen in view_settings:
        grey = view(explained.stored, explained.shape, **explained.view_reads, **chosen)
        masks = (
            apply(partial(segment, **settings), explained, grey) for settings in segmenter_settings
        )
        scores += [float(dice(mask, truth)) for mask in masks]
    return scores
