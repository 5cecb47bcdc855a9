"""Windows of the images for the classifier, labelled by the mask within them."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from segxai.datasets.splits import TRAIN, VALIDATION, seeded_key
from segxai.images.arrays import LazyRows
from segxai.job.log import InputError

COLUMNS = ["image_id", "y", "x", "height", "width", "label", "split"]


def cut_patches(
    masks: Iterable[np.ndarray],
    samples: pd.DataFrame,
    classes: Sequence[str],
    size: int,
    grid: int,
    negative_below: float,
    seed: int,
) -> pd.DataFrame:
    """Cut each image into grid × grid windows and keep equally many of both classes.

    A window is positive if the mask covers more than `negative_below` of it. In each split the
    larger class is reduced, by a seeded draw, to the size of the smaller one.

    Parameters
    ----------
    masks : iterable of ndarray of uint8, N times (size, size)
        0 or 1; read one at a time.
    samples : DataFrame, (N,)
        Rows of ``samples.csv`` in the order of `masks`.
    classes : sequence of str, (2,)
        The negative and the positive class.

    Returns
    -------
    DataFrame
        `COLUMNS`; lengths are pixels of `masks`.
    """
    if len(classes) != 2:
        raise InputError(
            f"patches need a negative and a positive class, not the {len(classes)} classes "
            f"{', '.join(classes)}; set `patches: null` for this data set."
        )
    if size % grid:
        raise InputError(
            f"`analysis_size` {size} cannot be cut into {grid}×{grid} equal patches; "
            f"choose a multiple of {grid}."
        )
    side = size // grid
    edges = np.arange(grid) * side
    windows = pd.MultiIndex.from_product(
        [samples["image_id"], edges, edges], names=["image_id", "y", "x"]
    ).to_frame(index=False)
    share = np.stack([window_means(mask, grid) for mask in masks]).ravel()
    windows = windows.assign(
        height=side,
        width=side,
        label=np.where(share > negative_below, classes[1], classes[0]),
        split=np.repeat(samples["split"].to_numpy(), grid * grid),
    )
    require_classes(windows, classes)
    return balance(windows, seed)[COLUMNS]


def whole_images(samples: pd.DataFrame, size: int) -> pd.DataFrame:
    """One window per image that covers it, with the image's own label; see :func:`cut_patches`."""
    windows = samples[["image_id", "label", "split"]].assign(y=0, x=0, height=size, width=size)
    return windows[COLUMNS]


def window_pixels(pixels: np.ndarray, samples: pd.DataFrame, windows: pd.DataFrame) -> LazyRows:
    """Pixels (n, h, w, C) of n windows of images (N, H, W, C), each read on access.

    `samples` are the images, in their order; all windows have one size.
    """
    rows = pd.Index(samples.image_id).get_indexer(windows.image_id)
    height, width = windows.height.iloc[0], windows.width.iloc[0]

    def cut(chosen: np.ndarray) -> np.ndarray:
        corners = zip(rows[chosen], windows.y.iloc[chosen], windows.x.iloc[chosen], strict=True)
        return np.stack([pixels[row, y : y + height, x : x + width] for row, y, x in corners])

    return LazyRows((len(rows), height, width, pixels.shape[3]), cut)


def window_means(mask: np.ndarray, grid: int) -> np.ndarray:
    """Share of foreground in each of the grid × grid windows of `mask`."""
    side = len(mask) // grid
    return mask.reshape(grid, side, grid, side).mean(axis=(1, 3))


def balance(windows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Keep, in each split, equally many windows of each label as of the rarest; seeded."""
    names = windows["image_id"] + ":" + windows["y"].astype(str) + ":" + windows["x"].astype(str)
    order = names.map(lambda name: seeded_key(name, seed)).sort_values().index
    rank = windows.loc[order].groupby(["split", "label"]).cumcount().sort_index()
    rarest = windows.groupby(["split", "label"]).size().groupby("split").min()
    return windows[rank < windows["split"].map(rarest)].reset_index(drop=True)


def require_classes(windows: pd.DataFrame, classes: Sequence[str]) -> None:
    """Refuse a class without a window to train or validate on."""
    counts = windows.groupby(["split", "label"]).size()
    for split in (TRAIN, VALIDATION):
        for label in classes:
            if not counts.get((split, label), 0):
                raise InputError(
                    f"class '{label}' has no {split} sample; raise `max_images` or "
                    "`split: validation`, or change `patches` of the data set."
                )
