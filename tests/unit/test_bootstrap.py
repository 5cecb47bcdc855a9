"""Intervals and tests against closed forms and reference implementations."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from segxai.stats.bootstrap import bootstrap_mean, bootstrap_weighted
from segxai.stats.selective import auroc
from segxai.stats.tests import holm, mann_whitney, paired_tests


def test_bootstrap_interval_agrees_with_scipy():
    """With one image per group the interval equals SciPy's percentile bootstrap within noise."""
    values = np.random.default_rng(0).beta(2, 3, 120)
    mean, low, high = bootstrap_mean(values, np.arange(120), 20000, 0.95, seed=1)
    reference = scipy_stats.bootstrap(
        (values,), np.mean, n_resamples=20000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert mean == values.mean()
    assert low == pytest.approx(reference.low, abs=2e-3)
    assert high == pytest.approx(reference.high, abs=2e-3)


def test_bootstrap_of_groups_is_wider_than_of_images():
    """Ten images that are copies of one another are worth one image, not ten."""
    values = np.random.default_rng(0).normal(size=30).repeat(10)
    images = bootstrap_mean(values, np.arange(300), 4000, 0.95, seed=1)
    groups = bootstrap_mean(values, np.arange(300) // 10, 4000, 0.95, seed=1)
    assert groups[0] == images[0]
    assert (groups[2] - groups[1]) / (images[2] - images[1]) == pytest.approx(np.sqrt(10), rel=0.1)


def test_bootstrap_leaves_undefined_scores_out():
    """NaN scores change nothing; without any score all is NaN."""
    values, groups = np.array([0.2, np.nan, 0.4, 0.9]), np.array(list("abcd"))
    defined = np.array([0, 2, 3])
    assert bootstrap_mean(values, groups, 500, 0.9, 3) == bootstrap_mean(
        values[defined], groups[defined], 500, 0.9, 3
    )
    assert np.isnan(bootstrap_mean(np.full(3, np.nan), groups[:3], 500, 0.9, 3)).all()


def test_interval_covers_the_true_mean_at_its_nominal_rate():
    """Of 400 samples about 95 % of the 95 % intervals hold the true mean."""
    rng = np.random.default_rng(5)
    hits = 0
    for trial in range(400):
        sample = rng.exponential(size=80)
        _, low, high = bootstrap_mean(sample, np.arange(80), 400, 0.95, seed=trial)
        hits += low <= 1.0 <= high
    assert 0.90 <= hits / 400 <= 0.98


def test_holm_by_hand():
    """Holm's step-down by hand: 3·0.01, then 2·0.02, then 0.04 raised to what stands before it."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.02])), [0.04, 0.03, 0.04])
    np.testing.assert_allclose(holm(np.array([0.5, 0.9])), [1.0, 1.0])


def test_paired_tests_are_scipys_on_the_same_images():
    """Each pair is tested on the images where both scores are defined; equal columns give p = 1."""
    rng = np.random.default_rng(7)
    scores = pd.DataFrame({"a": rng.random(40), "b": rng.random(40)})
    scores["c"] = scores.a
    scores.loc[3, "b"] = np.nan
    pairs = [("a", "b"), ("a", "c")]
    table = paired_tests(scores, pairs).set_index(["first", "second"])
    rest = scores.drop(index=3)
    assert list(table.index) == pairs
    # The family of tests consists of the given pairs.
    assert table.loc[("a", "b"), "p_holm"] == pytest.approx(min(1, 2 * table.loc[("a", "b"), "p"]))
    assert table.loc[("a", "b"), "n"] == 39
    assert table.loc[("a", "b"), "p"] == scipy_stats.wilcoxon(rest.a, rest.b).pvalue
    assert table.loc[("a", "c"), "p"] == 1.0
    assert table.loc[("a", "b"), "mean_difference"] == pytest.approx((rest.a - rest.b).mean())


def failures(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw confidences of n predictions, higher by one for the right ones, and which are right."""
    rng = np.random.default_rng(seed)
    correct = rng.random(n) < 0.7
    return rng.normal(size=n) + correct, correct


def bootstrap_auroc(columns, groups, *settings) -> np.ndarray:
    """AUROC of (confidence, correct) with its interval."""

    def measured(weights):
        return auroc(*columns, weights)[:, None]

    return np.ravel(bootstrap_weighted(measured, groups, *settings))


def test_bootstrap_of_the_auroc_agrees_with_scipy():
    """Rows stay whole: the interval of the AUROC equals SciPy's paired bootstrap within noise."""
    columns = failures(150, 0)
    value, low, high = bootstrap_auroc(columns, np.arange(150), 4000, 0.95, 1)
    reference = scipy_stats.bootstrap(
        columns,
        auroc,
        n_resamples=4000,
        method="percentile",
        paired=True,
        vectorized=False,
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert value == auroc(*columns)
    assert (low, high) == pytest.approx(tuple(reference), abs=6e-3)


def test_bootstrap_of_a_statistic_resamples_groups():
    """Ten copies of every image widen the interval by √10 against resampling the copies."""
    copies = tuple(column.repeat(10) for column in failures(80, 1))
    images = bootstrap_auroc(copies, np.arange(800), 1500, 0.95, 1)
    groups = bootstrap_auroc(copies, np.arange(800) // 10, 1500, 0.95, 1)
    assert groups[0] == images[0]
    assert (groups[2] - groups[1]) / (images[2] - images[1]) == pytest.approx(np.sqrt(10), rel=0.1)


@pytest.mark.filterwarnings("error")
def test_bootstrap_of_an_undefined_statistic():
    """Without any error all is NaN; with one error, resamples that miss it do not count."""
    confidence, correct = np.arange(6.0), np.ones(6, bool)
    assert np.isnan(bootstrap_auroc((confidence, correct), confidence, 50, 0.9, 0)).all()
    correct[0] = False
    assert bootstrap_auroc((confidence, correct), confidence, 50, 0.9, 0).tolist() == [1, 1, 1]


def test_mann_whitney_by_hand():
    """Six pairs, of which the first is larger in 4½; NaN scores are left out."""
    first, second = np.array([3, 5, np.nan]), np.array([1, 3, 4])
    effect, p = mann_whitney(first, second)
    assert effect == pytest.approx(4.5 / 6)
    assert p == scipy_stats.mannwhitneyu([3, 5], [1, 3, 4]).pvalue
    effect, p = mann_whitney(np.array([7.0, 8, 9, 10]), np.array([1.0, 2, 3, 4]))
    assert effect == 1
    # Two of the 70 ways to choose four ranks of eight are as extreme.
    assert p == pytest.approx(2 / 70)


def test_mann_whitney_effect_is_the_auroc():
    """The effect is the AUROC of telling the samples apart; p is 1 for equal scores."""
    confidence, correct = failures(90, 4)
    effect, p = mann_whitney(confidence[correct], confidence[~correct])
    assert effect == pytest.approx(auroc(confidence, correct))
    assert p < 0.01
    assert mann_whitney(np.ones(20), np.ones(30)) == (0.5, 1.0)
    assert np.isnan(mann_whitney(np.array([1.0, 2]), np.array([np.nan]))).all()
