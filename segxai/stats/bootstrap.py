"""Bootstrap intervals of means and other statistics."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pandas as pd


def bootstrap_mean(
    values: np.ndarray, groups: np.ndarray, resamples: int, confidence: float, seed: int
) -> tuple[float, float, float]:
    """Mean with its percentile bootstrap interval, resampling whole groups of images.

    Parameters
    ----------
    values : ndarray of shape (n,)
        One score per image; NaN (undefined) scores are left out.
    groups : ndarray of shape (n,)
        Patient, lesion, …; the image itself where there are no groups.
    resamples, confidence, seed
        Number of bootstrap samples, coverage of the interval in 0…1, and seed of the resampling.

    Returns
    -------
    mean, low, high : float
        All NaN if no score is defined.

    References
    ----------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, §13.3.
    """
    values = np.asarray(values, dtype=np.float64)
    defined = np.isfinite(values)
    if not defined.any():
        return (np.nan,) * 3
    codes, draws = _drawn(np.asarray(groups)[defined], resamples, seed)
    sums, counts = np.bincount(codes, values[defined]), np.bincount(codes)
    # einsum adds in a fixed order, where BLAS products depend on the number of threads.
    means = np.einsum("rg,g->r", draws, sums) / np.einsum("rg,g->r", draws, counts)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(values[defined].mean()), float(low), float(high)


def bootstrap_weighted(
    statistic: Callable[[np.ndarray], np.ndarray],
    groups: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Many statistics at once with percentile bootstrap intervals, resampling groups of images.

    A difference between two methods is a statistic of both methods' scores: the same images are
    then drawn for both. With the mean as statistic, the interval is that of
    :func:`bootstrap_mean`.

    Parameters
    ----------
    statistic
        Function of weights, int (r, n), the count of each image in each of r samples. Returns (r,
        k): k statistics of each sample, NaN where undefined.
    groups, resamples, confidence, seed
        See :func:`bootstrap_mean`.

    Returns
    -------
    value, low, high : ndarray of shape (k,)
        All NaN where a statistic is undefined. Samples in which it is undefined, such as those
        without a single error, do not count.
    """
    value = statistic(np.ones((1, len(groups)), dtype=np.int64))[0]
    undefined = np.isnan(value)
    if undefined.all():
        return value, value, value
    codes, draws = _drawn(groups, resamples, seed)
    # Blocks of samples keep the memory of large data sets small.
    blocks = np.array_split(draws, -(-resamples // 250))
    values = np.concatenate([statistic(block[:, codes]) for block in blocks])
    values[:, undefined] = 0
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    low[undefined] = high[undefined] = np.nan
    return value, low, high


def _drawn(groups: np.ndarray, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Number the groups, and count the draws of each in each bootstrap sample."""
    codes, names = pd.factorize(np.asarray(groups))
    return codes, _draws(len(names), resamples, seed)


# Cells of a table often share their images, so two sets of draws are kept.
@lru_cache(maxsize=2)
def _draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """Number of draws of each of n groups in each bootstrap sample: int (resamples, n)."""
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples)
    draws.setflags(write=False)
    return draws
