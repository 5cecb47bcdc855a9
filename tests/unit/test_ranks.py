"""Ranks of methods: directions, ties, agreement; against SciPy and by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import friedmanchisquare, kendalltau

from segxai.stats.agreement import agreements
from segxai.stats.comparisons import compare
from segxai.stats.layout import printed
from segxai.stats.ranks import concordance, friedman, gains, kendall_tau, rank_rows
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
    assert concordance(np.stack([ranks, ranks]))[1] == pytest.approx(w, nan_ok=True)
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


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=8))
def test_tau_is_that_of_scipy(pairs):
    """With ties, of many orders at once; undefined where all methods are tied."""
    first, second = np.transpose(pairs).astype(float)
    expected = kendalltau(first, second).statistic
    found = kendall_tau(np.stack([first, second]), np.stack([second, second]))
    assert found[0] == pytest.approx(expected, nan_ok=True)
    assert found[1] == pytest.approx(np.nan if np.ptp(second) == 0 else 1, nan_ok=True)


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


def agreed(**values: pd.Series) -> pd.DataFrame:
    """Agreement of some metrics, whose values are those of :func:`scores` or made from them."""
    tables = [scores().assign(metric=name, value=own) for name, own in values.items()]
    spec = {"table": "t", "datasets": ["d"], "rows": ["network", "explainer"], "scores": ["s"]}
    spec |= {"segmenters": [], "splits": ["test"], "controls": []}
    spec["directions"] = dict.fromkeys(values, "higher")
    spec["values"] = [{"metric": name, "statistic": "agreement"} for name in values]
    spec["values"].append({"statistic": "concordance"})
    images = {"d": {f"i{n}" for n in range(10)}}
    rows = with_compared(table_rows(pd.concat(tables), images, spec), spec)
    return agreements(rows, spec, STATISTICS)


def test_a_metric_agrees_with_itself_and_not_with_its_reverse():
    """τ 1 and −1 in both networks and both directions, and W of three metrics by hand."""
    gap = scores().value
    table = agreed(gap=gap, double=2 * gap, reverse=-gap)
    names = ["gap", "double", "reverse"]
    for network in ("n", "m"):
        own = table[table.network == network].pivot(index="other", columns="metric", values="value")
        assert own.loc[names, names].to_numpy().tolist() == [[1, 1, -1], [1, 1, -1], [-1, -1, 1]]
    # Two of three orders are alike: sums of ranks 5, 6, 7, so W = 12 · 2 / (9 · 24).
    w = table[table.statistic == "concordance"]
    for bound in ("value", "ci_low", "ci_high"):
        assert w[bound].tolist() == pytest.approx([1 / 9] * 2)


def test_two_metrics_are_compared_on_the_targets_of_both():
    """An order that one metric has elsewhere does not count against the other metric."""
    own = scores()
    elsewhere = own.image_id < "i5"
    # All orders taken together cancel each other.
    turned = own.value.where(~elsewhere, -own.value)
    table = agreed(turned=turned, partial=own.value.where(~elsewhere), none=own.value * np.nan)
    pair = table[(table.other == "turned") & (table.metric == "partial")]
    assert pair.value.tolist() == [1, 1]
    assert pair.n.tolist() == pair.n_undefined.tolist() == [5, 5]
    undefined = table[(table.other == "none") | (table.metric == "none")]
    assert undefined.value.isna().all() and (undefined.n == 0).all()


def test_a_table_of_agreements_is_a_matrix():
    """A line for each network and metric, a column for each, and W in a line of its own."""
    gap = scores().value
    table = agreed(gap=gap, reverse=-gap).assign(published=np.nan)
    titled = [
        {"metric": "gap", "statistic": "agreement", "title": "Gap"},
        {"metric": "reverse", "statistic": "agreement", "title": "Reverse"},
        {"statistic": "concordance", "title": "W"},
    ]
    spec = {"rows": ["network", "explainer"], "splits": ["test"], "values": titled}
    names = {"network": {"n": "Net", "m": "Other net"}}
    layout = printed(table, spec | {"predictions": []}, {"d": "D"}, names)
    assert layout.index[:3].tolist() == ["Net Gap", "Net Reverse", "Net"]
    assert layout.loc["Net Gap", "D, Gap"] == "1.000"
    assert layout.loc["Net Gap", "D, Reverse"] == "-1.000 [-1.000, -1.000]"
    assert layout.loc["Net", "D, W"] == "0.000 [0.000, 0.000]"
