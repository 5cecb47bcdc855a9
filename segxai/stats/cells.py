"""One cell of a table: a statistic of the scores of one row, with its interval.

Means leave undefined scores out. Where predictions are ranked, an undefined confidence ranks last,
as 0. Intervals resample groups of images.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from segxai.job.log import InputError
from segxai.stats.bootstrap import bootstrap_mean, bootstrap_weighted
from segxai.stats.selective import augrc, aurc, auroc
from segxai.workflow.studies import MEASURE, made_of, other

OBSERVATION = ["image_id", "target_id", "seed"]
# Beside each score: whether its map, or the map that its mask was cut from, is constant; NaN
# without a map.
CONSTANT = "constant map of "
# Beside a score, by statistic: what follows from the other methods, see segxai.stats.ranks.
COMPARED = {"rank": "rank of ", "agreement": "rank of ", "gain": "gain in "}
AREAS = {"auroc": auroc, "aurc": aurc, "augrc": augrc}
MARKER = {"metric": "reference_fraction", "reference": "marker"}
# The observations that each `where` keeps.
SUBSETS = {
    "all": lambda frame: np.full(len(frame), True),
    "correct": lambda frame: level(frame, "correct") == 1,
    "incorrect": lambda frame: level(frame, "correct") == 0,
    "marked": lambda frame: (level(frame, "correct") == 1) & (column(frame, MARKER) > 0),
    "unmarked": lambda frame: (level(frame, "correct") == 1) & (column(frame, MARKER) == 0),
}
# Areas measure how well a confidence ranks the second subset above the first.
OPPOSITE = {"incorrect": "correct", "marked": "unmarked"}


def observations(scores: pd.DataFrame) -> pd.DataFrame:
    """Pivot the tidy scores of one row of a table: a line per observation, a column per score.

    Parameters
    ----------
    scores
        See :func:`segxai.job.files.read_scores`.

    Returns
    -------
    DataFrame
        Index: `OBSERVATION`, group, split and correct, in the order of the scores. Columns:
        `MEASURE`, and the same with `CONSTANT` before the metric. A score in several families is
        taken once.
    """
    about = scores.drop_duplicates(OBSERVATION)
    values = scores.drop_duplicates([*OBSERVATION, *MEASURE])
    marks = values.assign(metric=CONSTANT + values.metric, value=values.constant)
    values = pd.concat([values, marks]).pivot(index=OBSERVATION, columns=MEASURE, values="value")
    values = values.reindex(pd.MultiIndex.from_frame(about[OBSERVATION]))
    keys = about[[*OBSERVATION, "group", "split", "correct"]]
    return values.set_axis(pd.MultiIndex.from_frame(keys), axis=0)


def image_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Average the scores of an image over seeds."""
    return frame.groupby(["image_id", "group", "split"], sort=False).mean()


def level(frame: pd.DataFrame, name: str) -> np.ndarray:
    """One level of the index of observations; averages over seeds have no correctness."""
    if name not in frame.index.names:
        raise InputError(
            "configuration: a table with rows of segmenters alone has values of correct or "
            "incorrect predictions; add `network` to its `rows`, or remove `where` and `statistic`."
        )
    return frame.index.get_level_values(name).to_numpy()


def column(frame: pd.DataFrame, value: dict) -> np.ndarray:
    """Scores of a value's metric, view and reference (n,); NaN where it was never measured."""
    key = tuple(value.get(name, "") for name in MEASURE)
    return frame[key].to_numpy() if key in frame else np.full(len(frame), np.nan)


def cell(frame: pd.DataFrame, value: dict, statistics: dict) -> dict[str, float]:
    """Take one statistic of the observations of a row.

    Parameters
    ----------
    frame
        See :func:`observations`.
    value
        metric, view and reference of the scores; statistic ``mean`` (the default), ``rank``, the
        mean of ranks among methods, ``gain``, the mean difference from the best control,
        ``error_rate``, or one of `AREAS`; ``where``, one of `SUBSETS`;
        ``minus``, a score to subtract from each observation, or a confidence whose area is
        subtracted on the same resamples; for areas also ``with``, a confidence whose ranks are
        averaged with this one's among all predictions of the row, and ``against``, the subset that
        a good confidence ranks low (incorrect predictions).
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    dict
        value, ci_low, ci_high, n, n_undefined and n_constant: the number of observations with a
        constant map. An undefined area counts all its observations as undefined, any other area
        those with an undefined confidence.
    """
    frame = frame[SUBSETS[value.get("where", "all")](frame)]
    constant = np.full(len(frame), False)
    if (statistic := value.get("statistic")) in COMPARED:
        value = value | {"metric": COMPARED[statistic] + value["metric"], "statistic": "mean"}
    for measure in made_of(value):
        constant |= column(frame, measure | {"metric": CONSTANT + measure["metric"]}) > 0
    return _statistic(frame, value, statistics) | {"n_constant": int(constant.sum())}


def _statistic(frame: pd.DataFrame, value: dict, statistics: dict) -> dict[str, float]:
    """Take the statistic of a cell, its interval and its counts."""
    statistic = value.get("statistic", "mean")
    if statistic in AREAS:
        return _area(frame, value, AREAS[statistic], statistics)
    if statistic == "error_rate":
        return mean_cell(1 - level(frame, "correct"), level(frame, "group"), statistics)
    scores = column(frame, value)
    if "minus" in value:
        scores = scores - column(frame, other(value, "minus"))
    return mean_cell(scores, level(frame, "group"), statistics)


def mean_cell(values: np.ndarray, groups: np.ndarray, statistics: dict) -> dict[str, float]:
    """Mean of some scores with its interval, and the numbers of defined and undefined ones."""
    mean, low, high = bootstrap_mean(values, groups, **statistics)
    n = int(np.isfinite(values).sum())
    return {"value": mean, "ci_low": low, "ci_high": high, "n": n, "n_undefined": len(values) - n}


def _area(frame: pd.DataFrame, value: dict, area: Callable, statistics: dict) -> dict[str, float]:
    """Area that measures how well a confidence ranks trusted observations above the others."""
    low = value.get("against", "incorrect")
    trusted = SUBSETS[OPPOSITE[low]](frame)
    known = trusted | SUBSETS[low](frame)
    frame, trusted = frame[known], trusted[known]
    own, undefined = _confidence(frame, value)
    confidences = [own]
    if "minus" in value:
        confidences.append(_confidence(frame, other(value, "minus"))[0])

    def measured(weights: np.ndarray) -> np.ndarray:
        areas = [area(confidence, trusted, weights) for confidence in confidences]
        return (areas[0] - areas[1] if "minus" in value else areas[0])[:, None]

    bounds = bootstrap_weighted(measured, level(frame, "group"), **statistics)
    result = dict(zip(("value", "ci_low", "ci_high"), map(float, np.ravel(bounds)), strict=True))
    n = 0 if np.isnan(result["value"]) else int((~undefined).sum())
    return result | {"n": n, "n_undefined": len(frame) - n}


def _confidence(frame: pd.DataFrame, value: dict) -> tuple[np.ndarray, np.ndarray]:
    """Confidence in each prediction (n,), undefined ones as 0, and a mask of these."""
    own = column(frame, value)
    if "with" not in value:
        return np.nan_to_num(own), np.isnan(own)
    # Loading scipy.stats takes longer than most jobs of this module.
    from scipy.stats import rankdata

    both = np.stack([own, column(frame, other(value, "with"))])
    return rankdata(np.nan_to_num(both), axis=1).mean(axis=0), np.isnan(both).any(axis=0)
