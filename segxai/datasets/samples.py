"""The images of a data set that are prepared, and the classes that they show."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.datasets.record import Record
from segxai.datasets.splits import TRAIN, VALIDATION, choose_subset, split_images
from segxai.job.log import InputError


def select_records(
    records: list[Record], max_images: int | None, split: dict
) -> tuple[list[Record], np.ndarray]:
    """Split the whole data set, then draw a subset; no image changes its side.

    Parameters
    ----------
    records
        All images, in the published order.
    max_images
        Size of a seeded subset that keeps the shares of split and label; None for all images.
    split
        Arguments of :func:`segxai.datasets.splits.split_images`.

    Returns
    -------
    records : list of Record, (n,)
    split : ndarray of str, (n,)
    """
    labels = [record.label for record in records]
    groups, official = [record.group for record in records], [record.split for record in records]
    sides = split_images(groups, labels, official=official, **split)
    if max_images is None or max_images >= len(records):
        return records, sides
    names = [record.image_id for record in records]
    chosen = choose_subset(names, zip(sides, labels, strict=True), max_images, split["seed"])
    return [record for record, kept in zip(records, chosen, strict=True) if kept], sides[chosen]


def require_sides(sides: Sequence[str], folder: Path) -> None:
    """Refuse a data set in `folder` without a usable training or validation image."""
    for side in (TRAIN, VALIDATION):
        if side not in sides:
            raise InputError(
                f"{folder}: no {side} image can be used, see the log; replace them by intact "
                "copies."
            )


def label_matrix(samples: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """The classes that each sample shows, one or several: bool (N, K)."""
    if f"label_{classes[0]}" in samples:
        return samples[[f"label_{name}" for name in classes]].to_numpy() == 1
    return samples["label"].to_numpy()[:, None] == np.array(classes)
