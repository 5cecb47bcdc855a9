"""Which images a reader is shown, and everything that was made of them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.data.records import read_rows

RANKS = ("best", "median", "worst")


@dataclass(frozen=True)
class Examples:
    """Images of one data set with their maps and masks, in data set order.

    Attributes
    ----------
    table : DataFrame of n rows
        image_id, split, label, target, completeness_error, rank (best, median, worst or empty),
        and for each method ``dice:<method>`` and ``iou:<method>`` in 0…1.
    images : ndarray of shape (n, H, W, 3), uint8
    truth : ndarray of shape (n, H, W), uint8 0/1
    relevance : ndarray of shape (n, H, W), uint8
        Smoothed relevance, 0…255 for 0…1.
    masks : dict of str to ndarray of shape (n, H, W), uint8 0/1
        By method, in the order of the table's rows.
    """

    table: pd.DataFrame
    images: np.ndarray
    truth: np.ndarray
    relevance: np.ndarray
    masks: dict[str, np.ndarray]

    def ranked(self) -> list[int]:
        """Places of the best, the median and the worst image, those that there are."""
        places = {rank: place for place, rank in enumerate(self.table["rank"])}
        return [places[rank] for rank in RANKS if rank in places]


def write_examples(examples: Examples, arrays: Path, table: Path) -> None:
    """Write examples as a compressed ``.npz`` and a ``.csv``."""
    examples.table.to_csv(table, index=False, float_format="%.6g")
    np.savez_compressed(
        arrays,
        images=examples.images,
        truth=examples.truth,
        relevance=examples.relevance.astype(np.uint8),
        masks=np.stack(list(examples.masks.values())),
        methods=np.array(list(examples.masks)),
    )


def read_examples(arrays: Path, table: Path) -> Examples:
    """Read what :func:`write_examples` wrote."""
    with np.load(arrays, allow_pickle=False) as held:
        return Examples(
            table=read_rows(table).fillna({"rank": ""}),
            images=held["images"],
            truth=held["truth"],
            relevance=held["relevance"],
            masks=dict(zip(held["methods"].tolist(), held["masks"], strict=True)),
        )


def choose(dice: np.ndarray, count: int) -> np.ndarray:
    """Choose the lowest, the middle and the highest scores, a third of `count` of each.

    Parameters
    ----------
    dice : ndarray of shape (n,)
        Scores; NaN (undefined) is never chosen, equal scores are taken in order.
    count
        How many to choose at most.

    Returns
    -------
    ndarray of int, increasing
    """
    order = ranking(dice)
    if len(order) <= count:
        return np.sort(order)
    third = count // 3
    middle = (len(order) - (count - 2 * third)) // 2
    chosen = [order[:third], order[middle : middle + count - 2 * third], order[-third:]]
    return np.sort(np.concatenate(chosen))


def rank(dice: np.ndarray) -> np.ndarray:
    """Name the best, the median (lower of two) and the worst score; the others stay empty."""
    order = ranking(dice)
    names = np.full(len(dice), "", dtype=object)
    if len(order):
        # The best is written last: of a single image it is the name.
        for name, place in (("worst", 0), ("median", (len(order) - 1) // 2), ("best", -1)):
            names[order[place]] = name
    return names


def ranking(dice: np.ndarray) -> np.ndarray:
    """Indices of the defined scores, lowest first, equal ones in order."""
    order = np.argsort(dice, kind="stable")
    return order[: np.isfinite(dice).sum()]
