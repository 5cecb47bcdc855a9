"""Agreement of metrics: how alike they order the methods of a table."""

from collections.abc import Iterator
from functools import partial
from itertools import combinations, product

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from segxai.stats.bootstrap import bootstrap_weighted
from segxai.stats.cells import COMPARED, column, level
from segxai.stats.ranks import concordance, kendall_tau
from segxai.stats.tables import COUNTS, KEYS, Rows, alike, of_splits
from segxai.workflow.shown import CELL, describe
from segxai.workflow.studies import MEASURE, TOGETHER, values

# Key of a line: the value with which its own value is compared.
OTHER = "other"
BOUNDS = ["value", "ci_low", "ci_high"]
COLUMNS = [*KEYS, OTHER, "split", *CELL, "unit", *BOUNDS, *COUNTS]


def agreements(rows: Rows, spec: dict, statistics: dict) -> pd.DataFrame:
    r"""How alike the values of a table with ``statistic: agreement`` order its methods.

    Ranks are averaged over targets first, for a pair of values over the targets that both rank;
    then the two orders are compared by Kendall's :math:`\tau_b`. With a value of ``statistic:
    concordance`` also Kendall's W of all orders, each over all its targets.

    Parameters
    ----------
    rows
        As of :func:`segxai.stats.tables.with_compared`. The methods are those that differ in the
        last key of ``rows`` alone.
    spec
        See :func:`segxai.stats.tables.table_rows`.
    statistics
        resamples, confidence and seed of the intervals: groups are drawn once for all values.

    Returns
    -------
    DataFrame
        `COLUMNS`, for each ``other`` value one line per value: τ of n targets; a value agrees with
        itself by 1, without an interval. Then a line without ``other`` for W.
    """
    compared, whole = (
        [value for value in values(spec) if value.get("statistic") == statistic]
        for statistic in TOGETHER
    )
    lines = [
        dict.fromkeys(KEYS, "")
        | {name: own[0][0][name] for name in ["dataset", *spec["rows"][:-1]]}
        | {"split": split, "unit": "fraction", "n_constant": 0}
        | line
        for own in (alike(rows, spec) if compared else [])
        for split, ranks in of_splits(_ranks(own, compared), spec["splits"])
        for line in _lines(ranks, compared, whole, statistics)
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def _ranks(rows: Rows, compared: list[dict]) -> pd.DataFrame:
    """Ranks of some methods by each value, side by side: a line per observation."""
    ranked = [value | {"metric": COMPARED["agreement"] + value["metric"]} for value in compared]
    parts = [pd.Series(column(frame, value), frame.index) for value in ranked for _, frame in rows]
    return pd.concat(parts, axis=1)


def _lines(
    ranks: pd.DataFrame, compared: list[dict], whole: list[dict], statistics: dict
) -> Iterator[dict]:
    """Lines of one set of methods in one subset of the images."""
    shape = (len(ranks), len(compared), ranks.shape[1] // len(compared))
    by_value = ranks.to_numpy().reshape(shape).swapaxes(0, 1)
    # A target has ranks of all methods, or of none.
    ranked = ~np.isnan(by_value[:, :, 0])
    pairs = list(combinations(range(len(compared)), 2))
    measured = partial(_measured, np.nan_to_num(by_value), ranked, pairs)
    bounds = bootstrap_weighted(measured, level(ranks, "group"), **statistics)
    *taus, w = (dict(zip(BOUNDS, own, strict=True)) for own in zip(*bounds, strict=True))
    known = dict(zip(pairs, taus, strict=True))

    def counts(rows: np.ndarray) -> dict[str, int]:
        return {"n": int(rows.sum()), "n_undefined": int((~rows).sum())}

    for other, own in product(range(len(compared)), repeat=2):
        n = counts(ranked[other] & ranked[own])
        tau = known.get((min(own, other), max(own, other)), {"value": 1.0 if n["n"] else np.nan})
        name = " ".join(filter(None, map(compared[other].get, MEASURE)))
        yield describe(compared[own]) | {OTHER: name} | tau | n
    for value in whole:
        yield describe(value) | {OTHER: ""} | w | counts(ranked.any(axis=0))


def _measured(
    ranks: np.ndarray, ranked: np.ndarray, pairs: list[tuple[int, int]], weights: np.ndarray
) -> np.ndarray:
    """τ of each pair of values, and W of all, for each line of weights of the targets.

    `ranks` is (k, n, methods) for k values and n targets, `ranked` (k, n), `weights` (r, n).
    """
    taus = []
    for pair in pairs:
        both = np.logical_and(*ranked[list(pair)])
        taus.append(kendall_tau(*(weights[:, both] @ ranks[k][both] for k in pair)))
    # A sum without any target ranks nothing.
    sums = np.where((ranked @ weights.T > 0)[..., None], weights @ ranks, np.nan)
    orders = rankdata(sums, axis=-1, nan_policy="propagate").swapaxes(0, 1)
    return np.stack([*taus, concordance(orders)], axis=1)
