"""Ranks of methods: directions, ties, agreement; against SciPy and by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare

from segxai.stats.comparisons import compare
from segxai.stats.ranks import agreement, friedman, gains, rank_rows
from segxai.stats.tables import KEYS, summarise, table_rows, with_compared

STATISTICS = {"resamples": 200, "confidence": 0.95, "seed": 1}


def test_the_best_has_rank_one():
    """In either direction; equal scores share the mean rank; a missing score leaves no ranks."""
    scores = pd.DataFrame({"a": [3.0, 1, 2, 1], "b": [1.0, 1, np.nan, 2], "c": [2.0, 5, 1, 3]})
    higher = rank_rows(scores, "higher")
    assert higher.iloc[0].tolist() == [1, 3, 2]
    assert higher.iloc[1].tolist() == [2.5, 2.5, 1]
    assert higher.iloc[2].isna().all()
    np.testing.assert_array_equal(rank_rows(-scores, "lower"), higher)


@given(st.integers(0, 2**16), st.integers(3, 6), st.integers(4, 12))
def test_friedman_is_that_of_scipy(seed, methods, targets):
    """The statistic m (k − 1) W and its p value, with ties."""
    scores = np.random.default_rng(seed).integers(0, 4, (targets, methods)).astype(float)
    ranks = rank_rows(pd.DataFrame(scores), "lower").to_numpy()
    w, p = friedman(ranks)
    if np.isnan(w):
        assert (np.ptp(scores, axis=1) == 0).all()
        return
    expected = friedmanchisquare(*scores.T)
    assert targets * (methods - 1) * w == pytest.approx(expected.statistic)
    assert p == pytest.approx(expected.pvalue)


def test_targets_that_agree_have_a_w_of_one():
    """And 0 where two targets rank the other way round."""
    order = np.arange(1.0, 5)
    assert friedman(np.stack([order] * 3))[0] == pytest.approx(1)
    assert friedman(np.stack([order, order[::-1]]))[0] == pytest.approx(0)


def test_metrics_that_rank_alike_agree():
    """τ is 1 with itself, −1 with the reverse."""
    ranks = pd.DataFrame({"a": [1.0, 2, 3], "b": [3.0, 2, 1], "c": [1.0, 2, np.nan]})
    table = agreement(ranks)
    assert table.loc["a", "b"] == -1
    assert table.loc["a", "a"] == table.loc["a", "c"] == 1


def scores() -> pd.DataFrame:
    """Scores of three explainers of two networks: x is always the best, by 1."""
    rows = [
        dict.fromkeys([*KEYS, "view", "reference"], "")
        | {"dataset": "d", "network": network, "explainer": explainer, "metric": "gap"}
        | {
            "seed": 1,
            "image_id": f"i{image}",
            "target_id": f"i{image}:a",
            "group": f"g{image // 2}",
        }
        | {"split": "test", "correct": 1, "constant": 0, "value": value + image % 3 / 10}
        for network in ("n", "m")
        for explainer, value in (("x", 2.0), ("y", 1.0), ("z", 0.5))
        for image in range(10)
    ]
    return pd.DataFrame(rows)


def test_gains_are_over_the_best_control():
    """By its mean, of scores that are there; positive where a method is better."""
    scores = pd.DataFrame({"x": [3.0, 1, np.nan], "a": [1.0, 1, 1], "b": [0.0, 2, 3]})
    gained = gains(scores, ["a", "b"], "higher")
    assert gained.x.tolist() == pytest.approx([3, -1, np.nan], nan_ok=True)
    assert gained.b.tolist() == [0, 0, 0]
    assert gains(scores, ["a", "b"], "lower").b.tolist() == [1, -1, -2]
    assert gains(scores, [], "higher").isna().all(axis=None)


def test_a_table_compares_within_each_network():
    """Mean ranks 1, 2, 3 in both networks, gains over the best control, and tests of the best."""
    value = {"metric": "gap", "statistic": ["rank", "gain"]}
    spec = {"table": "t", "datasets": ["d"], "rows": ["network", "explainer"], "scores": ["s"]}
    spec |= {
        "segmenters": [],
        "splits": ["test"],
        "unit": "fraction",
        "directions": {"gap": "higher"},
        "controls": ["y", "z", "w"],
    }
    spec |= {"values": [value, {"metric": "gap"}], "tests": None}
    rows = with_compared(table_rows(scores(), {"d": {f"i{n}" for n in range(10)}}, spec), spec)
    table = summarise(rows, spec, STATISTICS)
    ranks = table[table.statistic == "rank"]
    assert ranks.value.tolist() == ranks.ci_low.tolist() == [1, 2, 3] * 2
    gained = table[table.statistic == "gain"]
    assert gained.value.tolist() == pytest.approx([1, 0, -0.5] * 2)
    tests = {"kind": "wilcoxon", "metric": "gap", "pairs": "best"}
    best = compare(rows, spec | {"tests": tests}, {}, STATISTICS)
    assert best.first_explainer.tolist() == ["x"] * 4
    assert best.second_explainer.tolist() == ["y", "z"] * 2
    assert best.mean_difference.tolist() == pytest.approx([1, 1.5] * 2)
    agreed = compare(rows, spec | {"tests": tests | {"kind": "friedman"}}, {}, STATISTICS)
    assert agreed.first_network.tolist() == ["n", "m"]
    assert agreed.effect.tolist() == pytest.approx([1, 1])
    assert agreed.n_second.tolist() == [3, 3]
