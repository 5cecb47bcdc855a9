"""Which images of a data set are explained, and which ones they are compared with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from segxai.datasets.splits import VALIDATION, choose_subset, seeded_key
from segxai.job.log import InputError


def chosen_rows(samples: pd.DataFrame, selections: Sequence[dict]) -> np.ndarray:
    """Rows of `samples` that some studies explain: the union of their selections.

    Parameters
    ----------
    samples
        ``samples.csv``.
    selections
        What each study asks for: `split`, a subset's name, or None for all images; `images`, the
        size of a seeded subset that keeps the shares of split and label, or None for all of them;
        `seed` of that subset.

    Returns
    -------
    ndarray of int, increasing
    """
    return np.unique(np.concatenate([_selected(samples, **asked) for asked in selections]))


def _selected(
    samples: pd.DataFrame, split: str | None, images: int | None, seed: int
) -> np.ndarray:
    rows = np.arange(len(samples)) if split is None else np.flatnonzero(samples.split == split)
    if len(rows) == 0:
        raise InputError(
            f"no image is in the subset '{split}' that `split` of a study asks for; give it images "
            f"by `split: {split}` of the data set, or set `split: null` in the study."
        )
    if images is None or images >= len(rows):
        return rows
    some = samples.iloc[rows]
    strata = zip(some.split, some.label, strict=True)
    return rows[choose_subset(some.image_id, strata, images, seed)]


def require_validation(chosen: pd.DataFrame, source: str, tuned: Sequence[str]) -> None:
    """Refuse a selection without a validation image of known outline, if segmenters are `tuned`.

    `chosen` are the rows of the table `source` that are explained.
    """
    usable = (chosen.split == VALIDATION) & chosen.mask_pixels.notna()
    if not usable.any():
        raise InputError(
            f"{source}: of the {len(chosen)} images that are explained none is a validation image "
            f"with a known outline, on which {tuned[0]} is tuned; raise `images` of the study or "
            "`split: validation` of the data set."
        )


def background_rows(samples: pd.DataFrame, count: int, seed: int) -> np.ndarray:
    """Rows, increasing, of at most `count` validation images by seed: what SHAP compares with."""
    rows = np.flatnonzero(samples.split == VALIDATION)
    keys = [seeded_key(samples.image_id[row], seed) for row in rows]
    return np.sort(rows[np.argsort(keys)[:count]])


def shard_column(n: int, shards: int) -> np.ndarray:
    """Shard (n,) of each of n rows: contiguous blocks of nearly equal size, some of them empty."""
    bounds = np.linspace(0, n, shards + 1).round().astype(int)
    return np.repeat(np.arange(shards), np.diff(bounds))
