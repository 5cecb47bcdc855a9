"""What holds for any input: cuts of relevance maps, intervals of means and adjusted tests."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segxai.segmenters.ncut import relevance_affinity, segment
from segxai.segmenters.spectral import MIN_EIGENGAP, normalized_cut
from segxai.stats.bootstrap import bootstrap_mean
from segxai.stats.tests import holm, mann_whitney
from segxai.views.fused import fuse
from segxai.views.grey import unit_range

CELLS = 5
levels = arrays(np.float64, (CELLS, CELLS), elements=st.integers(0, 64).map(lambda k: k / 64))
scores = arrays(np.float64, st.integers(1, 30), elements=st.floats(0, 1) | st.just(np.nan))


def cut(cells: np.ndarray) -> np.ndarray:
    """Cut a map that has one pixel per cell."""
    return segment(cells, CELLS, 0.3, None, None)


def clear(cells: np.ndarray) -> None:
    """Leave out maps whose cut is decided by rounding: tied eigenvectors or a tie at the mean."""
    assume(np.ptp(cells) > 0)
    vector, gap = normalized_cut(relevance_affinity(cells, 0.3, None, None))
    assume(gap > 1e4 * MIN_EIGENGAP)
    assume(np.abs(vector - vector.mean()).min() > 1e-6 * np.ptp(vector))
    side = (vector > vector.mean()).reshape(cells.shape)
    assume(abs(cells[side].mean() - cells[~side].mean()) > 1e-9)


@settings(max_examples=50)
@given(levels)
def test_foreground_is_the_more_relevant_side(cells):
    """The mask has both sides, its mean relevance is the larger; of a constant map it is empty."""
    mask = cut(cells)
    assert mask.shape == cells.shape and mask.dtype == bool
    if np.ptp(cells) == 0:
        assert not mask.any()
    else:
        assert 0 < mask.sum() < mask.size
        assert cells[mask].mean() >= cells[~mask].mean()


@settings(max_examples=50)
@given(levels, st.sampled_from([0.5, 2.0, 1024.0]), st.sampled_from([0.0, 1.0, -3.0]))
def test_unit_of_relevance_does_not_matter(cells, scale, shift):
    """The cut depends on differences as shares of their range alone."""
    clear(cells)
    np.testing.assert_array_equal(cut(scale * cells + shift), cut(cells))


@settings(max_examples=50)
@given(levels, st.permutations(range(CELLS**2)))
def test_without_distances_places_do_not_matter(cells, order):
    """With no spatial term, exchanged cells take their label along."""
    clear(cells)
    shuffled = cells.ravel()[order].reshape(cells.shape)
    np.testing.assert_array_equal(cut(shuffled).ravel(), cut(cells).ravel()[order])


@settings(max_examples=50)
@given(levels)
def test_a_cut_turns_with_its_map(cells):
    """Transposed and mirrored maps have the transposed and mirrored mask."""
    clear(cells)
    np.testing.assert_array_equal(cut(cells.T), cut(cells).T)
    np.testing.assert_array_equal(cut(cells[:, ::-1]), cut(cells)[:, ::-1])


@settings(max_examples=50)
@given(levels, levels)
def test_a_fused_map_stays_in_range(relevance, component):
    """Fusion gives 0…1, and at most what the relevance is."""
    fused = fuse(relevance, component)
    assert fused.min() >= 0
    assert (fused <= unit_range(relevance)).all()


@given(scores, st.integers(0, 99), st.floats(0.5, 0.99))
def test_interval_lies_among_the_scores(values, seed, confidence):
    """The mean is that of the defined scores, and the interval lies within their range."""
    mean, low, high = bootstrap_mean(values, np.arange(len(values)), 100, confidence, seed)
    defined = values[np.isfinite(values)]
    if len(defined) == 0:
        assert np.isnan([mean, low, high]).all()
        return
    assert mean == defined.mean()
    assert defined.min() - 1e-12 <= low <= high <= defined.max() + 1e-12


@given(st.floats(0, 1), st.integers(1, 20), st.integers(0, 9))
def test_interval_of_equal_scores_is_a_point(value, n, seed):
    """Where all scores are equal, resampling changes nothing."""
    interval = bootstrap_mean(np.full(n, value), np.arange(n), 100, 0.95, seed)
    assert interval == pytest.approx((value,) * 3)


@given(scores, st.integers(0, 9))
def test_a_wider_coverage_holds_the_narrower(values, seed):
    """The interval of 99 % contains that of 80 %."""
    assume(np.isfinite(values).any())
    names = np.arange(len(values))
    _, low, high = bootstrap_mean(values, names, 200, 0.8, seed)
    _, lower, higher = bootstrap_mean(values, names, 200, 0.99, seed)
    assert lower <= low <= high <= higher


@given(arrays(np.float64, st.integers(0, 12), elements=st.floats(0, 1) | st.just(np.nan)))
def test_holm_is_its_definition(p):
    """Adjusted p are Holm's by a loop, never below p, at most 1, and in the order of p."""
    known = [k for k in np.argsort(p, kind="stable") if not np.isnan(p[k])]
    expected, largest = np.full(len(p), np.nan), 0.0
    for step, k in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - step) * p[k]))
        expected[k] = largest
    adjusted = holm(p)
    np.testing.assert_allclose(adjusted, expected, rtol=1e-12)
    assert (adjusted[known] >= p[known]).all()


@given(scores, scores)
def test_mann_whitney_counts_pairs(first, second):
    """The effect is the share of pairs won, ties half; exchanged samples give the rest to 1."""
    effect, p = mann_whitney(first, second)
    a, b = first[~np.isnan(first)], second[~np.isnan(second)]
    if len(a) == 0 or len(b) == 0:
        assert np.isnan(effect) and np.isnan(p)
        return
    won = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
    assert effect == pytest.approx(won) and 0 <= p <= 1
    assert mann_whitney(second, first)[0] == pytest.approx(1 - won)
