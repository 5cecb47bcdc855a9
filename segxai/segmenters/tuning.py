"""The search for a segmenter's settings, on validation images only."""

from itertools import product

import numpy as np

from segxai.metrics.overlap import dice
from segxai.segmenters.chain import refine, segment


def candidates(settings: dict, grid: dict, sections: tuple[str, ...]) -> list[dict]:
    """All combinations of the values that `grid` lists for the keys of some sections.

    Parameters
    ----------
    settings
        Default settings by section: ``{"smoothing": {"sigma": 8, …}, "ncut": {…}, …}``.
    grid
        Values to try, of the same form: ``{"smoothing": {"sigma": [4, 8]}, …}``; a key's default
        is tried first, whether it is listed or not.
    sections
        The sections to vary.

    Returns
    -------
    list of dict
        Complete settings, the defaults first.
    """
    axes = [
        [(section, key, value) for value in _default_first(settings[section][key], values)]
        for section in sections
        for key, values in grid.get(section, {}).items()
    ]
    result = []
    for combination in product(*axes):
        changed = {section: dict(values) for section, values in settings.items()}
        for section, key, value in combination:
            changed[section][key] = value
        result.append(changed)
    return result


def _default_first(default, values: list) -> list:
    return [default, *(value for value in values if value != default)]


def coarse_scores(
    item: tuple[np.ndarray, np.ndarray, tuple], method: str, tried: list[dict]
) -> list[float]:
    """Dice of one image's coarse mask under each of the settings tried.

    `item` holds the image (H, W, 3), the true mask (H, W) and its (relevance, feature map or None).
    """
    _, truth, maps = item
    return [float(dice(segment(maps, method, settings), truth)) for settings in tried]


def refined_scores(
    item: tuple[np.ndarray, np.ndarray, tuple], method: str, tried: list[dict]
) -> list[float]:
    """Dice of one image's refined mask under each of the settings tried; see `coarse_scores`."""
    image, truth, maps = item
    mask = segment(maps, method, tried[0])
    return [float(dice(refine((image, mask, maps), settings), truth)) for settings in tried]
