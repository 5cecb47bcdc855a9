"""Scores of classifiers: thresholds and recognition of each class."""

import numpy as np
import pandas as pd

from segxai.metrics.overlap import dice
from segxai.stats.selective import auroc


def best_thresholds(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Thresholds τ of best F1, one per class (SegX eq. 2: class j is predicted where p > τ).

    All sets of images that a threshold can mark are tried. Among sets with equal F1 the smallest is
    taken; τ lies midway between the probabilities on its two sides.

    Differs from SegX's code (``utils/metrics.py``), whose τ is the lowest probability of the set: p
    > τ then excludes the image of that probability.

    Parameters
    ----------
    probabilities : ndarray of shape (N, C), in 0…1
    labels : ndarray of shape (N, C), bool or 0/1

    Returns
    -------
    ndarray of shape (C,), float64 in 0…1
        NaN for a class without positives, or whose positives all have probability 0; p > NaN never
        predicts it.

    Raises
    ------
    ValueError
        If the shapes differ, a label is not 0 or 1, or a probability not in 0…1.
    """
    probabilities, labels = _checked(probabilities, labels)
    return np.array([_best_threshold(p, y) for p, y in zip(probabilities.T, labels.T, strict=True)])


def _best_threshold(p: np.ndarray, y: np.ndarray) -> float:
    if not y[p > 0].any():
        return np.nan
    levels = np.unique(p[p > 0])
    # At index k: images at or above level k.
    marked = len(p) - np.searchsorted(np.sort(p), levels)
    hits = y.sum() - np.searchsorted(np.sort(p[y]), levels)
    f1 = 2 * hits / (marked + y.sum())
    k = np.flatnonzero(f1 == f1.max())[-1]
    below = levels[k - 1] if k > 0 else 0.0
    middle = (below + levels[k]) / 2
    # Neighbouring floats have no midpoint.
    return middle if middle < levels[k] else below


def multilabel_scores(
    probabilities: np.ndarray, labels: np.ndarray, thresholds: np.ndarray
) -> pd.DataFrame:
    """Accuracy, F1 and AUROC of each class; ``.mean()`` of them is the macro average.

    Parameters
    ----------
    probabilities, labels
        See :func:`best_thresholds`.
    thresholds : ndarray of shape (C,)
        Class j is predicted where p > τ; NaN never predicts it.

    Returns
    -------
    DataFrame
        One row per class: accuracy, f1, auroc, all in 0…1. F1 is NaN where the class is neither
        present nor predicted in any image, AUROC where it is present in none or in all; macro
        averages leave them out.
    """
    probabilities, labels = _checked(probabilities, labels)
    return _class_scores(probabilities, probabilities > thresholds, labels)


def multiclass_scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, and macro F1 and AUROC of each class against the rest; each image shows one class.

    Parameters
    ----------
    probabilities : ndarray of shape (N, C), in 0…1
        The most probable class is predicted, the first of several.
    labels : ndarray of shape (N,), integer

    Returns
    -------
    dict
        accuracy, f1, auroc, all in 0…1. Classes where F1 or AUROC is undefined
        (:func:`multilabel_scores`) are left out of its average.
    """
    classes = np.arange(np.shape(probabilities)[-1])
    probabilities, truth = _checked(probabilities, np.asarray(labels)[:, None] == classes)
    best = probabilities.argmax(axis=1)
    scores = _class_scores(probabilities, best[:, None] == classes, truth)
    return scores[["f1", "auroc"]].mean().to_dict() | {"accuracy": float(np.mean(best == labels))}


def _class_scores(p: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "accuracy": (predicted == labels).mean(axis=0),
            # F1 of predictions is the Dice coefficient of two sets of images.
            "f1": dice(predicted.T[:, None], labels.T[:, None]),
            "auroc": [auroc(column, y) for column, y in zip(p.T, labels.T, strict=True)],
        }
    )


def _checked(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities, labels = np.asarray(probabilities, np.float64), np.asarray(labels)
    if probabilities.ndim != 2 or probabilities.shape != labels.shape:
        raise ValueError(
            f"probabilities are {probabilities.shape} and labels {labels.shape}; "
            "both must be (N, C)."
        )
    if not (probabilities.min(initial=0) >= 0 and probabilities.max(initial=0) <= 1):
        raise ValueError("probabilities must lie in 0…1; give sigmoid outputs, not logits.")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must hold 0 and 1 only.")
    return probabilities, labels.astype(bool)
