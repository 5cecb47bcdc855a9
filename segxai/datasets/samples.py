"""Which images of a data set a job works on, and which classes they show."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.datasets.record import Record
from segxai.datasets.splits import TRAIN, VALIDATION, choose_subset, seeded_key, split_images
from segxai.images.arrays import LazyRows, read_array
from segxai.job.log import InputError
from segxai.job.seeds import shard_rows


def select_records(
    records: list[Record], max_images: int | None, split: dict
) -> tuple[list[Record], np.ndarray]:
    """Split the whole data set, then draw a subset: an image is on the same side in both.

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
    """Refuse to go on where, of the images in `folder`, none is left to train or validate on."""
    for side in (TRAIN, VALIDATION):
        if side not in sides:
            raise InputError(
                f"{folder}: no {side} image can be used, as the log says; replace them by intact "
                "copies."
            )


def label_matrix(samples: pd.DataFrame, classes: Sequence[str]) -> np.ndarray:
    """Which of the K classes each image shows, whether it may show one or several.

    Parameters
    ----------
    samples
        ``samples.csv``.
    classes
        `classes` of the data set.

    Returns
    -------
    ndarray of bool, (N, K)
    """
    if f"label_{classes[0]}" in samples:
        return samples[[f"label_{name}" for name in classes]].to_numpy() == 1
    return samples["label"].to_numpy()[:, None] == np.array(classes)


def explained_rows(
    samples: pd.DataFrame,
    count: int | None,
    seed: int,
    shard: int = 0,
    shards: int = 1,
    split: str | None = None,
) -> np.ndarray:
    """Rows of `samples` that are explained and segmented, those of one shard.

    A pure function of its arguments: every job that reads maps or masks finds the same rows.

    Parameters
    ----------
    samples
        ``samples.csv``.
    count
        Size of a seeded subset that keeps the shares of split and label; None for all images.
    seed
        Seed of the subset.
    shard, shards
        Which contiguous part of the rows, of how many.
    split
        Images of this subset only; None for all.

    Returns
    -------
    ndarray of int, increasing

    Raises
    ------
    InputError
        If there are none.
    """
    rows = np.arange(len(samples)) if split is None else np.flatnonzero(samples.split == split)
    if len(rows) == 0:
        raise InputError(
            f"no image is in the subset '{split}' that `explained_split` of the data set asks for; "
            f"give it images by `split: {split}`, or set `explained_split: null`."
        )
    if count is not None and count < len(rows):
        some = samples.iloc[rows]
        strata = zip(some.split, some.label, strict=True)
        rows = rows[choose_subset(some.image_id, strata, count, seed)]
    return rows[shard_rows(len(rows), shard, shards)]


def explained_labels(
    samples: pd.DataFrame, chosen: np.ndarray, facts: pd.DataFrame, classes: Sequence[str]
) -> pd.DataFrame:
    """What each relevance map is of: one row per explained image and predicted label.

    Parameters
    ----------
    samples
        ``samples.csv``.
    chosen
        All explained rows (:func:`explained_rows`).
    facts
        Rows of the maps of all shards: image_id, target.
    classes
        `classes` of the data set.

    Returns
    -------
    DataFrame
        In the order of the maps: image_id, group, split, target; row in `samples`, place in
        `chosen`, label (index of the target among the classes), and present, 1 where the image
        shows the target: the prediction is correct.
    """
    place = pd.Index(samples.image_id.iloc[chosen]).get_indexer(facts.image_id)
    rows, labels = chosen[place], pd.Index(classes).get_indexer(facts.target)
    known = samples.iloc[rows][["image_id", "group", "split"]].reset_index(drop=True)
    return known.assign(
        target=facts.target.to_numpy(),
        row=rows,
        place=place,
        label=labels,
        present=label_matrix(samples, classes)[rows, labels].astype(int),
    )


def predicted_labels(predictions: pd.DataFrame, classes: Sequence[str]) -> dict[str, list[int]]:
    """Indices of the labels that are predicted for each image that has any, by its name."""
    predicted = predictions[predictions.predicted == 1].groupby("image_id")["class"]
    return {name: [classes.index(label) for label in labels] for name, labels in predicted}


def background_rows(samples: pd.DataFrame, count: int, seed: int) -> np.ndarray:
    """Rows of at most `count` validation images, drawn by seed: what SHAP compares images with.

    Parameters
    ----------
    samples
        ``samples.csv``.

    Returns
    -------
    ndarray of int, increasing
    """
    rows = np.flatnonzero(samples.split == VALIDATION)
    keys = [seeded_key(samples.image_id[row], seed) for row in rows]
    return np.sort(rows[np.argsort(keys)[:count]])


def sharded(rows: np.ndarray, files: list) -> np.ndarray | LazyRows:
    """Join the arrays of all shards, in order: one entry per row, read when it is asked for.

    Raises
    ------
    InputError
        If a file is unreadable or they hold another number of images.
    """
    parts = [read_array(file) for file in files]
    starts = np.cumsum([0, *map(len, parts)])
    if starts[-1] != len(rows):
        raise InputError(
            f"{files[0]}: it and its shards hold {starts[-1]} images instead of {len(rows)}; "
            "delete them and run again to make them anew."
        )

    def read(places: np.ndarray) -> np.ndarray:
        shards = np.searchsorted(starts, places, side="right") - 1
        found = [
            parts[shard][place - starts[shard]] for shard, place in zip(shards, places, strict=True)
        ]
        return np.array(found, parts[0].dtype).reshape(len(places), *parts[0].shape[1:])

    return parts[0] if len(parts) == 1 else LazyRows((len(rows), *parts[0].shape[1:]), read)
