"""Tests of differences between methods."""

import numpy as np
import pandas as pd
from scipy.stats import mannwhitneyu, wilcoxon


def mann_whitney(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Mann–Whitney test of whether one of two independent samples has the larger scores.

    All scores count as independent: if images share groups, prefer the interval of the AUROC by
    :func:`segxai.stats.bootstrap.bootstrap_weighted`.

    Parameters
    ----------
    first, second : ndarray of shape (n,) and (m,)
        For example c_IoU of correct and incorrect predictions; NaN scores are left out.

    Returns
    -------
    effect : float in 0…1
        Probability that a score of `first` exceeds one of `second`, ties counting one half: the
        AUROC of separating the two samples.
    p : float
        Two-sided. Both are NaN where a sample is empty.

    References
    ----------
    Mann & Whitney, Ann. Math. Statist. 18:50, 1947.
    """
    first, second = (scores[~np.isnan(scores)] for scores in (first, second))
    if len(first) == 0 or len(second) == 0:
        return np.nan, np.nan
    u, p = mannwhitneyu(first, second)
    return float(u / (len(first) * len(second))), float(p)


def paired_tests(scores: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Wilcoxon signed-rank tests between pairs of methods, adjusted by Holm's procedure.

    Parameters
    ----------
    scores
        One row per image, one column per method; rows with an undefined score in either method
        are left out of that pair.
    pairs
        Columns to compare: the family of tests for the adjustment.

    Returns
    -------
    DataFrame
        One row per pair: first, second, n, mean_difference (first − second), p, p_holm.
        Both p are 1 where no image differs; the difference of no images is NaN.
    """
    rows = []
    for first, second in pairs:
        difference = (scores[first] - scores[second]).dropna().to_numpy()
        p = wilcoxon(difference).pvalue if np.any(difference) else 1.0
        mean = difference.mean() if len(difference) else np.nan
        rows.append((first, second, len(difference), mean, p))
    table = pd.DataFrame(rows, columns=["first", "second", "n", "mean_difference", "p"])
    return table.assign(p_holm=holm(table.p.to_numpy(float)))


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p values by Holm's step-down procedure (Scand. J. Statist. 6:65, 1979).

    NaN, an undefined test, stays NaN and does not count.
    """
    m = np.count_nonzero(~np.isnan(p))
    order = np.argsort(p, kind="stable")[:m]
    stepped = np.maximum.accumulate(np.minimum(1.0, (m - np.arange(m)) * p[order]))
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = stepped
    return adjusted
