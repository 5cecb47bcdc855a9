"""Plain computations that several test files compare with."""

from collections.abc import Callable

import numpy as np
import pandas as pd


def bootstrap_statistic(
    statistic: Callable[..., float],
    columns: tuple[np.ndarray, ...],
    groups: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[float, float, float]:
    """Statistic of columns (n,) with its interval, one resample of groups after the other."""
    columns = tuple(np.asarray(column) for column in columns)
    value = statistic(*columns)
    if np.isnan(value):
        return (np.nan,) * 3
    codes, names = pd.factorize(np.asarray(groups))
    rng = np.random.default_rng(seed)
    draws = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    values = [statistic(*(np.repeat(column, draw[codes]) for column in columns)) for draw in draws]
    low, high = np.nanquantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(value), float(low), float(high)
