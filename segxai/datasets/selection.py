"""The images of a data set that are explained, and those that they are compared with."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from segxai.datasets.splits import TRAIN, VALIDATION, choose_subset, seeded_key
from segxai.job.log import InputError


def chosen_rows(samples: pd.DataFrame, selections: Sequence[dict]) -> np.ndarray:
    """Rows of `samples` that the studies explain: the union of their selections.

    Parameters
    ----------
    samples
        ``samples.csv``.
    selections
        Selection of each study: `split`, a subset's name, or None for all images; `images`, the
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
            f"no image is in the subset '{split}' that `split` of a study selects; give it images "
            f"by `split: {split}` of the data set, or set `split: null` in the study."
        )
    if images is None or images >= len(rows):
        return rows
    some = samples.iloc[rows]
    strata = zip(some.split, some.label, strict=True)
    return rows[choose_subset(some.image_id, strata, images, seed)]


def chosen_images(
    samples: Mapping[str, pd.DataFrame], selections: Mapping[str, Sequence[dict]]
) -> dict[str, set[str]]:
    """Names of the images of each data set that are in its selections, see :func:`chosen_rows`."""
    return {
        dataset: set(table.image_id.iloc[chosen_rows(table, selections[dataset])])
        for dataset, table in samples.items()
    }


def targets_of(
    shard: int, targets: pd.DataFrame, samples: pd.DataFrame, selections: Sequence[dict]
) -> pd.DataFrame:
    """Targets of one shard whose images are in some selections, see :func:`chosen_rows`.

    Other studies may list more images, for other methods.
    """
    chosen = samples.image_id.iloc[chosen_rows(samples, selections)]
    return targets[(targets.shard == shard) & targets.image_id.isin(chosen)]


def repeated_targets(
    targets: pd.DataFrame, samples: pd.DataFrame, selections: Sequence[dict], images: int
) -> pd.DataFrame:
    """Targets of a few images of each selection, see :func:`chosen_rows`: drawn by its seed.

    For what is too dear for all images. Only images with a target are drawn.
    """
    drawn = set()
    for asked in selections:
        chosen = samples.image_id.iloc[chosen_rows(samples, [asked])]
        names = targets.image_id[targets.image_id.isin(chosen)].unique()
        drawn.update(sorted(names, key=lambda name: seeded_key(name, asked["seed"]))[:images])
    return targets[targets.image_id.isin(drawn)]


def count_outlines(
    samples: pd.DataFrame, split: str | None, selections: Sequence[dict] | None
) -> dict[str, int]:
    """Count the images of a subset: with an outlined finding, with none, with an unknown outline.

    Parameters
    ----------
    samples
        ``samples.csv``.
    split
        Subset; None for all images.
    selections
        Selections of :func:`chosen_rows`: only their images are counted; None for all.
    """
    rows = np.arange(len(samples)) if selections is None else chosen_rows(samples, selections)
    pixels = samples.mask_pixels.iloc[rows]
    pixels = pixels if split is None else pixels[samples.split.iloc[rows] == split]
    counts = {"outlined": pixels > 0, "empty": pixels == 0, "unknown": pixels.isna()}
    return {"images": len(pixels)} | {name: int(n.sum()) for name, n in counts.items()}


def with_few(
    table: pd.DataFrame, images: int | None, seed: int, usable: pd.Series | bool = True
) -> pd.DataFrame:
    """Leave only some images for training, drawn by seed: a smaller draw lies within a larger one.

    Parameters
    ----------
    table : DataFrame, (n,)
        Images or windows of them, with their image_id and split.
    images
        Number of training images; None for all of them.
    seed
    usable : Series of bool, (n,)
        Rows that can be learnt from, if not all.

    Returns
    -------
    DataFrame, (n,)
        With an empty split for the training images that are left out.

    Raises
    ------
    InputError
        If there are fewer training images.
    """
    if images is None:
        return table
    training = table.split == TRAIN
    # Other draws of this seed, such as that of the explained images, have other keys.
    names = table.image_id[training & usable].unique()
    order = sorted(names, key=lambda name: seeded_key(f"training:{name}", seed))
    if images > len(order):
        raise InputError(
            f"networks.training.images: {images}, but only {len(order)} training images can be "
            f"learnt from; set {len(order)} or fewer, or null for all."
        )
    left_out = training & ~table.image_id.isin(order[:images])
    return table.assign(split=table.split.mask(left_out, ""))


def background_rows(samples: pd.DataFrame, count: int, seed: int) -> np.ndarray:
    """Rows, increasing, of at most `count` validation images by seed: the background of SHAP."""
    rows = np.flatnonzero(samples.split == VALIDATION)
    keys = [seeded_key(samples.image_id[row], seed) for row in rows]
    return np.sort(rows[np.argsort(keys)[:count]])


def shard_column(n: int, shards: int) -> np.ndarray:
    """Shard (n,) of each of n rows: contiguous blocks of nearly equal size, some of them empty."""
    bounds = np.linspace(0, n, shards + 1).round().astype(int)
    return np.repeat(np.arange(shards), np.diff(bounds))
