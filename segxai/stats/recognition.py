"""Recognition scores of classifiers, with intervals."""

import numpy as np
import pandas as pd

from segxai.stats.bootstrap import bootstrap_weighted
from segxai.stats.selective import auroc

RECOGNITION = ("accuracy", "f1", "auroc")
# Columns that tell predictions of one network and class apart: the image, and of windows the place.
UNIT = ["image_id", "y", "x"]


def recognition(
    probability: np.ndarray, predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Accuracy, F1 and AUROC of C classes with weights of n images: (r, 3, C), in 0…1.

    As in :func:`segxai.stats.classification.multilabel_scores`, with the same NaN, for r samples at
    once; probability, predicted and truth are (n, C), weights int (r, n).
    """
    counted = (predicted & truth, predicted, truth, predicted == truth)
    hits, positive, present, right = (weights @ matrix.astype(np.int64) for matrix in counted)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (positive + present)
        accuracy = right / weights.sum(axis=1, keepdims=True)
    areas = [auroc(p, y, weights) for p, y in zip(probability.T, truth.T, strict=True)]
    return np.stack([accuracy, f1, np.stack(areas, axis=1)], axis=1)


def recognise(predictions: pd.DataFrame, groups: pd.Series, statistics: dict) -> dict[str, dict]:
    """Cells of one classifier on some images; its seeds share the images and are drawn together.

    Windows are drawn with the group of their image.

    Parameters
    ----------
    predictions
        One row per seed, image and class: seed, image_id, class, probability, predicted, correct;
        or one per window of an image, with its y and x.
    groups
        Group of each image_id.
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    dict
        By name unit, value, ci_low, ci_high, n and n_undefined. `RECOGNITION` are macro averages
        over classes: n counts images, or windows, and n_undefined classes without a score. Then
        ``images``, those with ``no_predicted_label`` and with ``no_finding``, without interval. All
        are averaged over seeds.
    """
    columns = ["probability", "predicted", "correct"]
    unit = [name for name in UNIT if name in predictions]
    runs = []
    for _, run in predictions.groupby("seed"):
        wide = run.pivot(index=unit, columns="class", values=columns)
        probability, predicted, correct = (wide[name].to_numpy() for name in columns)
        runs.append((probability, predicted == 1, predicted == correct))
    images = wide.index.get_level_values("image_id")

    def measured(weights: np.ndarray) -> np.ndarray:
        scores = [_mean_of_defined(recognition(*run, weights)) for run in runs]
        return np.mean(scores, axis=0)

    once = np.ones((1, len(images)), dtype=int)
    undefined = sum(np.isnan(recognition(*run, once)[0]).sum(axis=1) for run in runs)
    bounds = bootstrap_weighted(measured, groups[images].to_numpy(), **statistics)
    names = ("value", "ci_low", "ci_high", "n_undefined")
    cells = {
        metric: dict(zip(names, numbers, strict=True)) | {"unit": "fraction", "n": len(images)}
        for metric, *numbers in zip(RECOGNITION, *bounds, undefined, strict=True)
    }
    counts = {
        "images": len(images),
        "no_predicted_label": np.mean([(~predicted.any(axis=1)).sum() for _, predicted, _ in runs]),
        "no_finding": (~runs[0][2].any(axis=1)).sum(),
    }
    about = {"unit": "count", "n": len(images), "n_undefined": 0}
    return cells | {name: about | {"value": float(count)} for name, count in counts.items()}


def _mean_of_defined(scores: np.ndarray) -> np.ndarray:
    """Mean over the last axis without NaN; NaN if nothing is left."""
    with np.errstate(invalid="ignore"):
        return np.nansum(scores, axis=-1) / np.isfinite(scores).sum(axis=-1)
