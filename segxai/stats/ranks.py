"""Rows of a table against each other, target by target: rank or subtract first, average then."""

import numpy as np
import pandas as pd
from scipy.stats import chi2, kendalltau, rankdata


def rank_rows(scores: pd.DataFrame, direction: str) -> pd.DataFrame:
    """Rank the methods of each target, 1 for the best; equal scores share the mean of their ranks.

    Parameters
    ----------
    scores : DataFrame, (n, k)
        One line per target, one column per method.
    direction
        ``higher`` or ``lower``: which score is better.

    Returns
    -------
    DataFrame, (n, k)
        NaN for all methods of a target where one of them has no score, since ranks among fewer
        would not compare.
    """
    signed = -scores if direction == "higher" else scores
    ranks = rankdata(signed.to_numpy(), axis=1, nan_policy="propagate")
    return pd.DataFrame(ranks, scores.index, scores.columns)


def gains(scores: pd.DataFrame, controls: list, direction: str) -> pd.DataFrame:
    """How much better each method is than the best control, target by target; above 0 is better.

    Parameters
    ----------
    scores : DataFrame, (n, k)
        One line per target, one column per method.
    controls
        Columns: the best of them is the one of the best mean.
    direction
        ``higher`` or ``lower``: which score is better.

    Returns
    -------
    DataFrame, (n, k)
        NaN where the method or the control has no score, and without controls.
    """
    signed = -scores if direction == "lower" else scores
    means = signed[controls].mean().dropna()
    return signed.sub(signed[means.idxmax()], axis=0) if len(means) else signed * np.nan


def friedman(ranks: np.ndarray) -> tuple[float, float]:
    r"""Friedman's test of whether methods have equal ranks, with the agreement of the targets.

    .. math:: W = \frac{12 S}{m^2 (k^3 - k) - m \sum_i T_i}, \quad
              S = \sum_j (R_j - \bar R)^2, \quad T_i = \sum_g (t_{ig}^3 - t_{ig})

    over m targets that rank k methods, with sums of ranks R and t tied methods in a group g of a
    target; :math:`\chi^2 = m (k - 1) W` has k − 1 degrees of freedom.

    Parameters
    ----------
    ranks : ndarray of shape (m, k)
        Of each target; lines with NaN are left out.

    Returns
    -------
    w : float in 0…1
        Kendall's coefficient of concordance: 1 where all targets rank alike.
    p : float
        Both are NaN for fewer than two targets or methods, or where all methods are tied always.

    References
    ----------
    Kendall & Babington Smith, Ann. Math. Statist. 10:275, 1939; Friedman, JASA 32:675, 1937.
    """
    ranks = ranks[~np.isnan(ranks).any(axis=1)]
    m, k = ranks.shape
    if m < 2 or k < 2:
        return np.nan, np.nan
    sums = ranks.sum(axis=0)
    ties = sum((t**3 - t).sum() for t in (np.unique(r, return_counts=True)[1] for r in ranks))
    most = m**2 * (k**3 - k) - m * ties
    if most == 0:
        return np.nan, np.nan
    w = 12 * ((sums - sums.mean()) ** 2).sum() / most
    return float(w), float(chi2.sf(m * (k - 1) * w, k - 1))


def agreement(ranks: pd.DataFrame) -> pd.DataFrame:
    """Kendall's τ-b of each two metrics' mean ranks of the methods, (k, k), by name of a metric.

    Parameters
    ----------
    ranks : DataFrame
        One line per method, one column per metric. Methods without a rank in one of two metrics are
        left out of that pair; NaN where fewer than two are left.
    """
    names = ranks.columns
    pairs = [
        [kendalltau(*ranks[[a, b]].dropna().T.to_numpy()).statistic for b in names if b != a]
        for a in names
    ]
    square = np.ones((len(names), len(names)))
    square[~np.eye(len(names), dtype=bool)] = np.ravel(pairs)
    return pd.DataFrame(square, names, names)
