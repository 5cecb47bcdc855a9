"""Tidy tables of SegX and SegU: how well explanations align, and what their certainty is worth.

Scores come as a dict: those of each (data set, row), one row per explained image and label; a table
may be empty. Means leave undefined scores out. Where predictions are ranked, an undefined
confidence ranks last, as 0. Intervals resample groups of images.

References
----------
Zhang, Zhu & Luo, SegX: Improving Interpretability of Clinical Image Diagnosis with
Segmentation-based Enhancement, 2025, Tables 3 and 4.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from segxai.stats.bootstrap import bootstrap_weighted
from segxai.stats.selective import augrc, aurc, auroc
from segxai.stats.tables import beside_published, mean_cell
from segxai.stats.tests import holm, mann_whitney, paired_tests

Scores = dict[tuple[str, str], pd.DataFrame]

ALIGNMENT = {
    "iou@5% original": "iou_original",
    "iou@5% segx": "iou_segx",
    "auitc original": "auitc_original",
    "auitc segx": "auitc_segx",
    "iou@5% segx threshold first": "iou_segx_threshold_first",
    "auitc segx threshold first": "auitc_segx_threshold_first",
    "auitc quantile original": "auitc_quantile_original",
    "auitc quantile segx": "auitc_quantile_segx",
    "iou@5% ceiling": "ceiling",
    "iou@5% ceiling sparse": "ceiling_sparse",
    "iou segmentation": "iou_segmentation",
}
COMPARED = {"iou@5%": ("iou_segx", "iou_original"), "auitc": ("auitc_segx", "auitc_original")}
CERTAINTIES = ("c_iou", "c_auitc")
BASELINE, COMBINED = "maximum_probability", "c_iou+maximum_probability"
CONFIDENCES = (*CERTAINTIES, BASELINE, "entropy", "segmentation_confidence", COMBINED)
AREAS = {"auroc": auroc, "aurc": aurc, "augrc": augrc}
ON_MARKER = {
    "marker area": "marker_area",
    "marker relevance": "marker_relevance",
    "marker relevance segx": "marker_relevance_segx",
    "marker top": "marker_top",
    "marker top segx": "marker_top_segx",
}
INTERVAL = ["value", "ci_low", "ci_high", "n"]
# What Tables 3 and 4 print, with the paper's four columns first.
PRINTED_ALIGNMENT = {
    "iou@5% original": "IoU@5 %, original",
    "iou@5% segx": "IoU@5 %, SegX",
    "auitc original": "AUITC, original",
    "auitc segx": "AUITC, SegX",
    "iou@5% ceiling": "IoU@5 %, ceiling",
    "iou segmentation": "IoU, segmentation",
}
PRINTED_CERTAINTY = {
    "c_iou correct": "c_IoU, correct",
    "c_iou incorrect": "c_IoU, incorrect",
    "c_auitc correct": "c_AUITC, correct",
    "c_auitc incorrect": "c_AUITC, incorrect",
    "error rate": "error rate",
    "auroc c_iou": "AUROC of c_IoU",
    "auroc c_auitc": "AUROC of c_AUITC",
    "auroc maximum_probability": "AUROC of maximum probability",
}


def alignment(scores: Scores, published: pd.DataFrame, statistics: dict) -> pd.DataFrame:
    """Alignment of explanations with the ground truth, as they are and by SegX (Table 3).

    Parameters
    ----------
    scores
        With split, group and the columns that `ALIGNMENT` names, in 0…1.
    published
        ``config/published.csv``, the numbers of the tables as text.
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    DataFrame
        With `segxai.stats.tables.COLUMNS`, one row per data set, row and metric of `ALIGNMENT`.
    """

    def cells(table: pd.DataFrame) -> list[dict]:
        return [
            {"metric": metric} | mean_cell(table[column], table.group, statistics)
            for metric, column in ALIGNMENT.items()
        ]

    return beside_published(_published_rows(of_test_images(scores), cells, "3"), published)


def compare_alignment(scores: Scores) -> pd.DataFrame:
    """Paired Wilcoxon tests of SegX against the original map; Holm within data set and metric.

    An explained label of an image is one observation: its scores are averaged over seeds.

    Returns
    -------
    DataFrame
        dataset, metric, first, second, n, mean_difference, p, p_holm.
    """
    tests = []
    labels = {
        key: table.groupby(["image_id", "target"]).mean(numeric_only=True)
        for key, table in of_test_images(scores).items()
    }
    for dataset in dict.fromkeys(dataset for dataset, _ in scores):
        own = {row: table for (name, row), table in labels.items() if name == dataset}
        pairs = [(f"{row} segx", f"{row} original") for row in own]
        for metric, columns in COMPARED.items():
            sides = {
                name: table[column]
                for (row, table), pair in zip(own.items(), pairs, strict=True)
                for name, column in zip(pair, columns, strict=True)
            }
            found = paired_tests(pd.DataFrame(sides), pairs)
            tests.append(found.assign(dataset=dataset, metric=metric))
    columns = ["dataset", "metric", "first", "second", "n", "mean_difference", "p", "p_holm"]
    return pd.concat(tests, ignore_index=True)[columns]


def certainty(scores: Scores, published: pd.DataFrame, statistics: dict) -> pd.DataFrame:
    """SegU of right and wrong predictions (Table 4), and how well each confidence parts them.

    Parameters
    ----------
    scores
        With split, group, present (the prediction is right) and the confidences, in 0…1.
    published, statistics
        As of :func:`alignment`.

    Returns
    -------
    DataFrame
        With `segxai.stats.tables.COLUMNS`. Metrics: the means of c_iou and c_auitc where the
        prediction is ``correct`` and ``incorrect``; ``error rate``; ``auroc``, ``aurc`` and
        ``augrc`` of each of `CONFIDENCES`; and the differences of two AUROCs, both taken on the
        same resamples. The combined confidence is the mean of two ranks among all predictions of
        the row. An area that is undefined counts all its predictions as undefined, any other
        those whose confidence is.
    """

    def cells(table: pd.DataFrame) -> list[dict]:
        right = table.present == 1
        means = [
            {"metric": f"{name} {which}"} | mean_cell(one[name], one.group, statistics)
            for name in CERTAINTIES
            for which, one in (("correct", table[right]), ("incorrect", table[~right]))
        ]
        errors = {"metric": "error rate"} | mean_cell(1 - table.present, table.group, statistics)
        return [*means, errors, *_areas(table, statistics)]

    return beside_published(_published_rows(of_test_images(scores), cells, "4"), published)


def compare_certainty(scores: Scores) -> pd.DataFrame:
    """Mann–Whitney tests of SegU between right and wrong; Holm within data set and metric.

    Returns
    -------
    DataFrame
        dataset, metric, first, second, n_first, n_second, effect, p, p_holm; effect is the
        probability that a right prediction has the higher score, undefined ones left out.
    """
    rows = []
    for (dataset, row), table in of_test_images(scores).items():
        for metric in CERTAINTIES:
            defined = table[table[metric].notna()]
            right = defined.present == 1
            samples = defined[metric][right].to_numpy(), defined[metric][~right].to_numpy()
            names = f"{row} correct", f"{row} incorrect"
            rows.append((dataset, metric, *names, *map(len, samples), *mann_whitney(*samples)))
    columns = ["dataset", "metric", "first", "second", "n_first", "n_second", "effect", "p"]
    tests = pd.DataFrame(rows, columns=columns)
    families = tests.groupby(["dataset", "metric"]).p
    return tests.assign(p_holm=families.transform(lambda p: holm(p.to_numpy())))


def doses(scores: Scores, statistics: dict) -> pd.DataFrame:
    """Dose response: SegX's gain and SegU's AUROC by how much the true mask was worsened.

    Parameters
    ----------
    scores
        With split, group, present, kind, radius (px), dice, iou_original, iou_segx,
        auitc_original, auitc_segx, c_iou and c_auitc, in 0…1.
    statistics
        As of :func:`alignment`.

    Returns
    -------
    DataFrame
        dataset, row, kind, radius, dice (mean), metric, value, ci_low, ci_high, n.
    """

    def cells(table: pd.DataFrame) -> list[dict]:
        rows = []
        for (kind, radius), dose in table.groupby(["kind", "radius"], sort=False):
            about = {"kind": kind, "radius": radius, "dice": dose.dice.mean()}
            for metric, (refined, original) in COMPARED.items():
                gain = mean_cell(dose[refined] - dose[original], dose.group, statistics)
                rows.append(about | {"metric": f"{metric} gain"} | gain)
            for name in CERTAINTIES:
                cell = _auroc_cell(dose[name], dose.present, dose.group, statistics)
                rows.append(about | {"metric": f"auroc {name}"} | cell)
        return rows

    columns = ["dataset", "row", "kind", "radius", "dice", "metric", *INTERVAL]
    return _rows(of_test_images(scores), cells, columns)


def shortcut(scores: Scores, statistics: dict) -> pd.DataFrame:
    """Whether explanations and SegU show a planted shortcut, in right predictions of its class.

    Parameters
    ----------
    scores
        With group, present, marked (1 where the marker is in the image), marker_area,
        marker_relevance, marker_relevance_segx, marker_top, marker_top_segx, c_iou and c_auitc.
    statistics
        As of :func:`alignment`.

    Returns
    -------
    DataFrame
        dataset, row, metric, value, ci_low, ci_high, n. Metrics: shares of `ON_MARKER` in marked
        images; c_iou and c_auitc ``marked`` and ``unmarked``; and ``auroc c_iou unmarked over
        marked``: 0.5 where SegU does not see the shortcut, near 1 where c_iou falls with it.
    """

    def cells(table: pd.DataFrame) -> list[dict]:
        right = table[table.present == 1]
        marked, unmarked = right[right.marked == 1], right[right.marked == 0]
        shares = [
            {"metric": metric} | mean_cell(marked[column], marked.group, statistics)
            for metric, column in ON_MARKER.items()
        ]
        means = [
            {"metric": f"{name} {which}"} | mean_cell(one[name], one.group, statistics)
            for name in CERTAINTIES
            for which, one in (("marked", marked), ("unmarked", unmarked))
        ]
        told = _auroc_cell(right.c_iou, right.marked == 0, right.group, statistics)
        return [*shares, *means, {"metric": "auroc c_iou unmarked over marked"} | told]

    return _rows(scores, cells, ["dataset", "row", "metric", *INTERVAL])


def of_test_images(scores: Scores) -> Scores:
    """Keep the scores of test images."""
    return {key: table[table.split == "test"] for key, table in scores.items()}


def _rows(
    scores: Scores, cells: Callable[[pd.DataFrame], list[dict]], columns: list[str] | None = None
) -> pd.DataFrame:
    """Put what `cells` makes of each table under its data set and row."""
    rows = [
        {"dataset": dataset, "row": row} | cell
        for (dataset, row), table in scores.items()
        for cell in cells(table)
    ]
    return pd.DataFrame(rows, columns=columns)


def _published_rows(
    scores: Scores, cells: Callable[[pd.DataFrame], list[dict]], number: str
) -> pd.DataFrame:
    about = {"paper": "segx", "table": number, "split": "test", "unit": "fraction"}
    return _rows(scores, cells).assign(**about)


def _areas(table: pd.DataFrame, statistics: dict) -> list[dict]:
    """Areas of each confidence, and by how much SegU changes the baseline's AUROC."""
    singles = table[[name for name in CONFIDENCES if name != COMBINED]]
    confidences = singles.fillna(0)
    ranks = [rankdata(confidences[name]) for name in ("c_iou", BASELINE)]
    confidences = confidences.assign(**{COMBINED: np.mean(ranks, axis=0)})
    undefined = singles.isna().sum()
    undefined[COMBINED] = singles[["c_iou", BASELINE]].isna().any(axis=1).sum()
    pairs = [("c_iou", BASELINE), (COMBINED, BASELINE)]

    def measured(weights: np.ndarray) -> np.ndarray:
        areas = {
            (kind, name): area(confidences[name], table.present, weights)
            for name in CONFIDENCES
            for kind, area in AREAS.items()
        }
        gains = [areas["auroc", one] - areas["auroc", other] for one, other in pairs]
        return np.stack([*areas.values(), *gains], axis=-1)

    names = [(f"{kind} {name}", name) for name in CONFIDENCES for kind in AREAS]
    names += [(f"auroc {one} - {other}", one) for one, other in pairs]
    intervals = bootstrap_weighted(measured, table.group.to_numpy(), **statistics)
    return [
        {"metric": metric} | _weighted_cell(interval, len(table), undefined[name])
        for (metric, name), interval in zip(names, zip(*intervals, strict=True), strict=True)
    ]


def _auroc_cell(
    confidence: pd.Series, correct: pd.Series, groups: pd.Series, statistics: dict
) -> dict[str, float]:
    """AUROC of one confidence with its interval."""

    def measured(weights: np.ndarray) -> np.ndarray:
        return auroc(confidence.fillna(0), correct, weights)[:, None]

    intervals = bootstrap_weighted(measured, groups.to_numpy(), **statistics)
    interval = [float(bound[0]) for bound in intervals]
    return _weighted_cell(interval, len(confidence), confidence.isna().sum())


def _weighted_cell(interval: tuple, total: int, undefined: int) -> dict[str, float]:
    value, low, high = interval
    n = 0 if np.isnan(value) else int(total - undefined)
    return {"value": value, "ci_low": low, "ci_high": high, "n": n, "n_undefined": total - n}
