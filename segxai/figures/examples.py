"""Which images and predictions a reader is shown, and everything that was made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.job.files import read_rows

RANKS = ("best", "median", "worst")


@dataclass(frozen=True)
class Examples:
    """Images, or predicted labels of images, of one data set with their maps and masks.

    Attributes
    ----------
    table : DataFrame of n rows
        image_id, split, label (what the image shows), target (what is explained), rank (best,
        median, worst or empty), and ``<score>:<method>`` in 0…1, NaN where it is undefined. Of
        ExplainSeg completeness_error, of SegX present: 1 where the predicted label is right.
    images : ndarray of shape (n, H, W, 3), uint8
    truth : ndarray of shape (n, H, W), uint8 0/1
    maps : dict of str to ndarray of shape (n, H, W), uint8
        Relevance, 0…255 for 0…1. Of ExplainSeg the smoothed one, of SegX one by method; zero where
        the method has none.
    masks : dict of str to ndarray of shape (n, H, W), uint8 0/1
        Of ExplainSeg by method, of SegX the segmenter's.
    """

    table: pd.DataFrame
    images: np.ndarray
    truth: np.ndarray
    maps: dict[str, np.ndarray]
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
        **{f"maps:{name}": maps.astype(np.uint8) for name, maps in examples.maps.items()},
        **{f"masks:{name}": masks for name, masks in examples.masks.items()},
    )


def read_examples(arrays: Path, table: Path) -> Examples:
    """Read what :func:`write_examples` wrote."""
    with np.load(arrays, allow_pickle=False) as held:
        return Examples(
            table=read_rows(table).fillna({"rank": ""}),
            images=held["images"],
            truth=held["truth"],
            maps=_named(held, "maps"),
            masks=_named(held, "masks"),
        )


def _named(held: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Arrays of one kind by what they are of, in the order in which they were written."""
    return {
        name: held[f"{kind}:{name}"]
        for found, _, name in (key.partition(":") for key in held)
        if found == kind
    }


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


def choose_predictions(scores: pd.DataFrame, count: int) -> np.ndarray:
    """Choose predictions that show where SegX and SegU fail, and where they do not.

    Parameters
    ----------
    scores
        One row per prediction: present, truth_fraction, iou_segx and c_iou.
    count
        How many to choose at most.

    Returns
    -------
    ndarray of int, increasing
        A third errors, those of which SegU is the most certain; the others right predictions of
        findings with a true mask, by IoU@5 % of SegX as :func:`choose` takes them.
    """
    right = (scores.present == 1).to_numpy()
    errors = np.flatnonzero(~right)
    sure = errors[np.argsort(-scores.c_iou.fillna(0).to_numpy()[errors], kind="stable")]
    shown = scores.iou_segx.where(right & (scores.truth_fraction > 0)).to_numpy(np.float64)
    sure = sure[: count // 3]
    return np.sort(np.concatenate([sure, choose(shown, count - len(sure))]))


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
