"""Example images and predictions for figures and page, with their maps, masks and scores."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.job.files import atomic_path, read_rows, write_table

RANKS = ("best", "median", "worst")
ERROR = "error"
SEGMENTATION_MASK = "segmentation"


@dataclass(frozen=True)
class Examples:
    """Images, or targets of images, of one study and data set with their maps and masks.

    The path of a method is network/explainer for a map, and network/explainer/segmenter for a mask.

    Attributes
    ----------
    table : DataFrame of n rows
        study, dataset, image_id, target_id, split, label (what the image shows), target (what is
        explained, empty for examples of masks without a map), correct (0/1, or NaN), rank (best,
        median, worst, error or empty), completeness_error, and ``<score>:<method>``, NaN where it
        is undefined. A score is named by :func:`score_key`.
    images : ndarray of shape (n, H, W, 3), uint8
    truth : ndarray of shape (n, H, W), uint8 0/1
    maps : dict of str to ndarray of shape (n, H, W), uint8
        View of each method's attribution, 0…255 for 0…1; zero where the method has none.
    masks : dict of str to ndarray of shape (n, H, W), uint8 0/1
        By method; of examples of maps only `SEGMENTATION_MASK`, where the study has one.
    """

    table: pd.DataFrame
    images: np.ndarray
    truth: np.ndarray
    maps: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]

    @property
    def predicted(self) -> bool:
        """Whether the examples are predictions, each explained for its own label."""
        return set(self.masks) <= {SEGMENTATION_MASK}

    def ranked(self, *others: str) -> list[int]:
        """Places of the best, median and worst example, and of others with a rank."""
        places = {rank: place for place, rank in enumerate(self.table["rank"])}
        return [places[rank] for rank in (*RANKS, *others) if rank in places]


def score_key(value: Mapping[str, str]) -> str:
    """Key of a declared value: its metric, view and reference, as far as given."""
    return " ".join(filter(None, map(value.get, ("metric", "view", "reference"))))


def write_examples(examples: Examples, arrays: str | Path, table: str | Path) -> None:
    """Write examples as a compressed ``.npz`` and a ``.csv``."""
    write_table(table, examples.table)
    with atomic_path(arrays) as path:
        np.savez_compressed(
            path,
            images=examples.images,
            truth=examples.truth,
            **{f"maps:{name}": maps.astype(np.uint8) for name, maps in examples.maps.items()},
            **{f"masks:{name}": masks for name, masks in examples.masks.items()},
        )


def read_examples(arrays: str | Path, table: str | Path) -> Examples:
    """Read what :func:`write_examples` wrote."""
    rows = read_rows(table)
    texts = [name for name in ("study", "dataset", "target_id", "target", "rank") if name in rows]
    rows[texts] = rows[texts].fillna("").astype(str)
    with np.load(arrays, allow_pickle=False) as stored:
        return Examples(
            table=rows,
            images=stored["images"],
            truth=stored["truth"],
            maps=_named(stored, "maps"),
            masks=_named(stored, "masks"),
        )


def _named(stored: Mapping[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Arrays of one kind by method, in the order of writing."""
    parts = [key.partition(":") for key in stored]
    return {name: stored[f"{kind}:{name}"] for of, _, name in parts if of == kind}


def choose(scores: np.ndarray, count: int) -> np.ndarray:
    """Choose the lowest, the middle and the highest scores, a third of `count` of each.

    Their places, increasing; NaN is never chosen, equal scores are taken in order.
    """
    order = ranking(scores)
    if len(order) <= count:
        return np.sort(order)
    third = count // 3
    middle = (len(order) - (count - 2 * third)) // 2
    chosen = [order[:third], order[middle : middle + count - 2 * third], order[-third:]]
    return np.sort(np.concatenate(chosen))


def choose_predictions(
    score: np.ndarray, correct: np.ndarray, confidence: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose predictions where refined maps and confidences succeed, and where they fail.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Score of the refined map; NaN where the true mask is unknown.
    correct : ndarray of shape (n,), bool
    confidence : ndarray of shape (n,)
        NaN is taken for 0.
    count
        Largest number of choices.

    Returns
    -------
    places : ndarray of int, increasing
        A third errors, the most confident; the others correct predictions of findings with a true
        mask, by score as :func:`choose` takes them.
    ranks : ndarray of str
        Best, median and worst of the correct ones, `ERROR` for the most confident error, else
        empty.
    """
    confidence = np.nan_to_num(confidence)
    errors = np.flatnonzero(~correct)
    errors = errors[np.argsort(-confidence[errors], kind="stable")][: count // 3]
    shown = np.where(correct, score, np.nan)
    ranks = rank(shown)
    ranks[errors[:1]] = ERROR
    places = np.sort(np.concatenate([errors, choose(shown, count - len(errors))]))
    return places, ranks[places]


def rank(scores: np.ndarray) -> np.ndarray:
    """Name the best, the median (lower of two) and the worst score; the others stay empty."""
    order = ranking(scores)
    names = np.full(len(scores), "", dtype=object)
    if len(order):
        # The best is written last, so it names a single image.
        for name, place in (("worst", 0), ("median", (len(order) - 1) // 2), ("best", -1)):
            names[order[place]] = name
    return names


def ranking(scores: np.ndarray) -> np.ndarray:
    """Indices of the defined scores, lowest first, equal ones in order."""
    order = np.argsort(scores, kind="stable")
    return order[: np.isfinite(scores).sum()]
