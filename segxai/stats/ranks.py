"""Rows of a table against each other, target by target: rank or subtract first, average then."""

import numpy as np
import pandas as pd
from scipy.stats import chi2, rankdata


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


def concordance(ranks: np.ndarray) -> np.ndarray:
    r"""Kendall's W, the agreement of m raters on the order of k methods.

    .. math:: W = \frac{12 S}{m^2 (k^3 - k) - m \sum_i T_i}
                = \frac{S}{m \sum_{ij} (r_{ij} - \bar r)^2}, \quad
              S = \sum_j (R_j - \bar R)^2, \quad T_i = \sum_g (t_{ig}^3 - t_{ig})

    with ranks r, their sums R over raters, and t tied methods in a group g of a rater.

    Parameters
    ----------
    ranks : ndarray of shape (..., m, k)
        Raters with NaN are left out.

    Returns
    -------
    ndarray of shape (...)
        1 where all raters rank alike, 0 where they have nothing in common; NaN for fewer than two
        raters or methods, or where all methods are tied always.

    References
    ----------
    Kendall & Babington Smith, Ann. Math. Statist. 10:275, 1939.
    """
    apart = np.nan_to_num(ranks - ranks.mean(axis=-1, keepdims=True))
    m = (~np.isnan(ranks).any(axis=-1)).sum(axis=-1)
    most = m * (apart**2).sum(axis=(-2, -1))
    with np.errstate(invalid="ignore"):
        w = (apart.sum(axis=-2) ** 2).sum(axis=-1) / most
    return np.where(m < 2, np.nan, w)


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

    :math:`\chi^2 = m (k - 1) W` has k − 1 degrees of freedom.

    Parameters
    ----------
    ranks : ndarray of shape (m, k)
        Of each target; lines with NaN are left out.

    Returns
    -------
    w : float in 0…1
        See :func:`concordance`.
    p : float
        NaN where w is.

    References
    ----------
    Friedman, JASA 32:675, 1937.
    """
    ranks = ranks[~np.isnan(ranks).any(axis=1)]
    m, k = ranks.shape
    w = float(concordance(ranks))
    return w, float(chi2.sf(m * (k - 1) * w, k - 1))


def kendall_tau(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    r"""Kendall's :math:`\tau_b` of two orders of k methods: 1 where they agree, −1 where reversed.

    .. math:: \tau_b = \frac{\sum_{i<j} s_{ij} t_{ij}}
              {\sqrt{\sum_{i<j} s_{ij}^2 \, \sum_{i<j} t_{ij}^2}}

    over pairs of methods, with the signs s and t of their differences in each order, 0 for ties.

    Parameters
    ----------
    first, second : ndarray of shape (..., k)
        Ranks, or their sums over the same targets.

    Returns
    -------
    ndarray of shape (...)
        In −1…1; NaN where one of the two orders ties all methods.

    References
    ----------
    Kendall, Biometrika 33:239, 1945.
    """
    low, high = np.triu_indices(first.shape[-1], 1)
    s, t = (np.sign(order[..., low] - order[..., high]) for order in (first, second))
    ordered = (s != 0).sum(axis=-1) * (t != 0).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return (s * t).sum(axis=-1) / np.sqrt(ordered)
