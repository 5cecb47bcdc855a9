"""Tidy table of the networks behind SegX: how well they classify and segment test images."""

import numpy as np
import pandas as pd

from segxai.stats.alignment import Scores, of_test_images
from segxai.stats.bootstrap import bootstrap_weighted
from segxai.stats.selective import auroc
from segxai.stats.tables import COLUMNS, mean_cell

RECOGNITION = ("accuracy", "f1", "auroc")


def networks(
    predictions: Scores, overlap: Scores, groups: dict[str, pd.Series], statistics: dict
) -> pd.DataFrame:
    """Scores of classifiers and segmenters on the test images.

    Parameters
    ----------
    predictions
        Of each data set and classifier, one row per image and class: run (of several seeds),
        image_id, split, class, probability, predicted and correct.
    overlap
        Of each data set and segmenter, one row per image: group, split, iou, dice, truth_fraction.
    groups
        Of each data set, the group of each image_id.
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    DataFrame
        With `segxai.stats.tables.COLUMNS`. Of a classifier `RECOGNITION`, macro averages over
        classes; n counts images and n_undefined classes without a score. Then ``images``, those
        with ``no predicted label`` and with ``no finding``, without interval. All are averaged over
        seeds. Of a segmenter dice and iou over the images that show a finding.
    """
    rows = []
    for (dataset, row), table in of_test_images(predictions).items():
        cells = _classifier(table, groups[dataset], statistics)
        rows += [{"dataset": dataset, "row": row} | cell for cell in cells]
    for (dataset, row), table in of_test_images(overlap).items():
        found = table[table.truth_fraction > 0]
        for metric in ("dice", "iou"):
            cell = mean_cell(found[metric], found.group, statistics)
            about = {"dataset": dataset, "row": row, "metric": metric, "unit": "fraction"}
            rows.append(about | cell)
    about = {"paper": "segx", "table": "networks", "split": "test"}
    return pd.DataFrame(rows).assign(**about).reindex(columns=COLUMNS)


def recognition(
    probability: np.ndarray, predicted: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Accuracy, F1 and AUROC of each class by how often each image counts.

    Parameters
    ----------
    probability : ndarray of shape (n, C)
    predicted, truth : ndarray of shape (n, C), bool
    weights : ndarray of int, (r, n)

    Returns
    -------
    ndarray of shape (r, 3, C), in 0…1
        Those of :func:`segxai.stats.classification.multilabel_scores`, NaN likewise, for r
        samples at once.
    """
    counted = (predicted & truth, predicted, truth, predicted == truth)
    hits, marked, shown, right = (weights @ each.astype(np.int64) for each in counted)
    with np.errstate(invalid="ignore"):
        f1 = 2 * hits / (marked + shown)
    accuracy = right / weights.sum(axis=1, keepdims=True)
    areas = [auroc(p, y, weights) for p, y in zip(probability.T, truth.T, strict=True)]
    return np.stack([accuracy, f1, np.stack(areas, axis=1)], axis=1)


def _classifier(table: pd.DataFrame, groups: pd.Series, statistics: dict) -> list[dict]:
    """Cells of one classifier; its seeds share the images and are drawn together."""
    columns = ["probability", "predicted", "correct"]
    runs = []
    for _, run in table.groupby("run"):
        wide = run.pivot(index="image_id", columns="class", values=columns)
        probability, predicted, correct = (wide[name].to_numpy() for name in columns)
        runs.append((probability, predicted == 1, predicted == correct))
    images = wide.index

    def measured(weights: np.ndarray) -> np.ndarray:
        each = [recognition(*run, weights) for run in runs]
        return np.mean([_mean_of_defined(scores) for scores in each], axis=0)

    once = np.ones((1, len(images)), dtype=int)
    undefined = sum(np.isnan(recognition(*run, once)[0]).sum(axis=1) for run in runs)
    intervals = bootstrap_weighted(measured, groups[images].to_numpy(), **statistics)
    cells = [
        {"metric": metric, "unit": "fraction", "value": value, "ci_low": low, "ci_high": high}
        | {"n": len(images), "n_undefined": int(none)}
        for metric, value, low, high, none in zip(RECOGNITION, *intervals, undefined, strict=True)
    ]
    silent = [(~predicted.any(axis=1)).sum() for _, predicted, _ in runs]
    counts = {
        "images": len(images),
        "no predicted label": np.mean(silent),
        "no finding": (~runs[0][2].any(axis=1)).sum(),
    }
    return cells + [
        {"metric": metric, "unit": "count", "value": count, "n": len(images), "n_undefined": 0}
        for metric, count in counts.items()
    ]


def _mean_of_defined(scores: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not NaN; NaN where nothing is left."""
    with np.errstate(invalid="ignore"):
        return np.nansum(scores, axis=-1) / np.isfinite(scores).sum(axis=-1)
