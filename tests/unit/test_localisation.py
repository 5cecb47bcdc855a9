"""Metrics of maps: top pixels, IoU@5 %, AUITC, ceilings and shares against closed forms."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from segxai.metrics import auitc as auitc_metric
from segxai.metrics import iou_at as iou_at_metric
from segxai.metrics import iou_ceiling as iou_ceiling_metric
from segxai.metrics import top_mass
from segxai.metrics.case import Case
from segxai.metrics.overlap import iou
from segxai.metrics.salient import share_on, top_fraction

# Small integers: many ties, and transforms of them are exact.
maps = arrays(np.int64, (7, 9), elements=st.integers(0, 30)).map(lambda x: x.astype(float))
masks = arrays(bool, (7, 9))
fractions = st.floats(0.01, 0.99)
axes = st.sampled_from(["value", "quantile"])


def iou_at(saliency, reference, fraction=0.05, within=None):
    case = Case(view=saliency, reference=reference, within=within)
    return iou_at_metric.measure(case, fraction)


def auitc(saliency, reference, axis="value", n=100, within=None):
    case = Case(view=saliency, reference=reference, within=within)
    return auitc_metric.measure(case, axis, n)


def iou_ceiling(truth, fraction=0.05, sparse=False):
    return iou_ceiling_metric.measure(Case(reference=truth), fraction, sparse)


def disc(side: int, area: float) -> np.ndarray:
    """Centred disc that covers a share of a square image."""
    return distance(side) < np.sqrt(area / np.pi)


def distance(side: int) -> np.ndarray:
    """Distance to the centre of a square image, in units of its side."""
    centres = (np.arange(side) + 0.5) / side - 0.5
    return np.hypot(centres[:, None], centres)


def naive_auitc(saliency, reference, axis, n, within):
    """Score one threshold after another, as equation 12 reads; 0/0 is 0."""
    midpoints = (np.arange(n) + 0.5) / n
    if axis == "value":
        saliency = saliency - saliency.min()
        saliency = saliency / max(saliency.max(), 1)
        thresholds = midpoints
    else:
        thresholds = np.quantile(saliency, midpoints, method="inverted_cdf")
    scores = [iou((saliency > t) & within, reference) for t in thresholds]
    return np.mean(np.nan_to_num(scores))


@given(maps, fractions)
def test_top_fraction_is_a_stable_sort(saliency, fraction):
    """The k highest of a stable descending sort, less those at the map's lowest value."""
    k = max(1, round(fraction * saliency.size))
    order = np.argsort(-saliency.ravel(), kind="stable")[:k]
    expected = np.zeros(saliency.size, bool)
    expected[order] = saliency.ravel()[order] > saliency.min()
    assert (top_fraction(saliency, fraction).ravel() == expected).all()


def test_top_fraction_counts_exactly():
    """5 % of 256 × 256 distinct values are 3,277 pixels; at least one pixel is marked."""
    saliency = np.random.default_rng(0).permutation(256 * 256).reshape(256, 256)
    assert top_fraction(saliency, 0.05).sum() == 3277
    assert (top_fraction(saliency, 0.05) == (saliency >= 256 * 256 - 3277)).all()
    assert top_fraction(saliency[:4, :4], 0.01).sum() == 1


def test_ties_go_to_the_lower_index():
    """Of equal pixels at the threshold those that come first are marked."""
    saliency = np.array([[0.0, 2, 1], [1, 1, 3]])
    assert top_fraction(saliency, 0.5).tolist() == [[False, True, True], [False, False, True]]


@given(maps, fractions, masks, axes)
def test_only_the_order_of_values_counts(saliency, fraction, reference, axis):
    """A strictly increasing transform changes no mask and no area on the quantile axis."""
    for transformed in (saliency**3, 2.0**saliency, 5 * saliency - 40):
        assert (top_fraction(transformed, fraction) == top_fraction(saliency, fraction)).all()
        assert auitc(transformed, reference, "quantile") == pytest.approx(
            auitc(saliency, reference, "quantile"), nan_ok=True
        )
    # The value axis depends on the values, up to scale and offset.
    assert auitc(4 * saliency - 8, reference, axis) == pytest.approx(
        auitc(saliency, reference, axis), nan_ok=True
    )


@given(maps, fractions, fractions)
def test_larger_fractions_contain_smaller_ones(saliency, a, b):
    """The top masks of a map are nested."""
    small, large = (top_fraction(saliency, fraction) for fraction in sorted((a, b)))
    assert (small <= large).all()


@given(maps, masks, fractions)
def test_iou_never_exceeds_its_ceiling(saliency, truth, fraction):
    """No map, refined or not, exceeds the ceiling; one of distinct values not even the lower."""
    assume(truth.any())
    sparse = iou_ceiling(truth, fraction, sparse=True)
    dense = iou_ceiling(truth, fraction)
    assert dense <= sparse <= 1
    assert iou_at(saliency, truth, fraction) <= sparse
    assert iou_at(saliency * truth, truth, fraction) <= sparse
    assert iou_at(saliency, truth, fraction, within=truth) <= sparse
    distinct = np.argsort(np.argsort(saliency, axis=None)).reshape(saliency.shape)
    assert iou_at(distinct, truth, fraction) <= dense


@pytest.mark.parametrize(
    ("area", "dense", "sparse"), [(20, 0.4, 1.0), (50, 1, 1), (200, 0.25, 0.25)]
)
def test_ceiling_by_hand_is_reached(area, dense, sparse):
    """5 % of 1,000 pixels are 50: both ceilings for smaller, equal and larger truths, attained."""
    truth = np.arange(1000).reshape(20, 50) >= 1000 - area
    assert iou_ceiling(truth) == dense
    assert iou_ceiling(truth, sparse=True) == sparse
    assert iou_at(np.arange(1000).reshape(20, 50), truth) == dense
    assert iou_at(truth, truth) == sparse
    saliency = np.random.default_rng(0).uniform(0.1, 1, truth.shape)
    assert iou_at(saliency * truth, truth) == sparse


def test_order_mask_reaches_the_sparse_ceiling_too():
    """With the true mask, any map whose top 5 % cover a small lesion is refined to the lesion."""
    saliency = np.exp(-distance(100))
    truth = disc(100, 0.02)
    assert iou_at(saliency, truth) == pytest.approx(0.4, abs=0.02)
    assert iou_at(saliency, truth, within=truth) == 1


@given(maps, masks, masks, axes, st.integers(1, 120))
def test_auitc_is_the_loop_over_thresholds(saliency, reference, within, axis, n):
    """Sorting once gives what one threshold after another gives, for the whole map or within."""
    everywhere = np.ones_like(within)
    expected = naive_auitc(saliency, reference, axis, n, everywhere)
    assert auitc(saliency, reference, axis, n) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    expected = naive_auitc(saliency, reference, axis, n, within)
    area = auitc(saliency, reference, axis, n, within)
    assert area == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("s", [0.3, 0.5, 1.0])
def test_auitc_of_a_cone_on_a_disc(s):
    """A cone of radius R and a disc of radius sR: IoU(τ) is (1−τ)²/s² or its inverse; 4s/3 − s²."""
    radius = 0.45
    cone = np.maximum(0, 1 - distance(512) / radius)
    truth = distance(512) < s * radius
    assert auitc(cone, truth, n=1000) == pytest.approx(4 * s / 3 - s**2, abs=5e-3)


@pytest.mark.parametrize("s", [0.05, 0.2])
def test_auitc_by_quantiles_of_a_perfect_ranking(s):
    """Truth of share s ranked first: ∫ min(u, s)/max(u, s) du = s/2 + s ln(1/s)."""
    ranks = np.arange(256 * 256).reshape(256, 256) ** 2
    truth = ranks >= np.quantile(ranks, 1 - s)
    expected = s / 2 + s * np.log(1 / s)
    assert auitc(ranks, truth, "quantile", n=2000) == pytest.approx(expected, abs=1e-3)


def test_auitc_by_hand():
    """Values 0, 1, 2, 8 with truth at the 8, two thresholds: 1/4 and 3/4, or the values 0 and 2."""
    saliency = np.array([[0.0, 1], [2, 8]])
    truth = saliency == 8
    assert auitc(saliency, truth, "value", n=2) == pytest.approx((1 + 1) / 2)
    assert auitc(saliency, truth, "quantile", n=2) == pytest.approx((1 / 3 + 1) / 2)


@given(maps, masks, axes)
def test_auitc_is_bounded(saliency, reference, axis):
    """An area lies in 0…1, and nothing is undefined where there is a reference."""
    assume(reference.any())
    assert 0 <= auitc(saliency, reference, axis) <= 1


@pytest.mark.parametrize("area", [0.01, 0.05])
def test_certainty_of_identical_masks_is_one(area):
    """SegU where the explanation is the segmentation: c_IoU and c_AUITC are 1."""
    segmentation = disc(128, area)
    assert iou_at(segmentation, segmentation, 0.06) == 1
    assert auitc(segmentation, segmentation) == 1


def test_certainty_of_disjoint_masks_is_zero():
    """SegU where the explanation avoids the segmentation: both scores are 0."""
    segmentation = disc(64, 0.2)
    elsewhere = np.where(segmentation, 0, distance(64))
    assert iou_at(elsewhere, segmentation) == 0
    assert auitc(np.where(segmentation, 0, 1), segmentation) == 0


def test_uninformative_scores_are_defined():
    """Constant maps and empty masks give empty explanations, and scores of 0."""
    constant, truth = np.full((32, 32), 0.7), disc(32, 0.1)
    empty = np.zeros_like(truth)
    assert not top_fraction(constant, 0.05).any()
    assert not top_fraction(distance(32) * empty, 0.05).any()
    assert iou_at(distance(32), truth, within=empty) == 0
    for score in (iou_at, auitc):
        assert score(constant, truth) == 0
        assert score(distance(32), empty) == 0
        assert score(constant, empty) == 0
    assert np.isnan(iou_ceiling(empty))


def test_refined_small_lesion_gets_no_band_of_ties():
    """A segmentation of 1 % is not filled up to 5 % by zeros from the first rows of the image."""
    segmentation = disc(100, 0.01)
    refined = np.exp(-distance(100)) * segmentation
    assert (top_fraction(refined, 0.05) == segmentation).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: top_fraction(np.array([[0, np.nan], [np.inf, 1]]), 0.05), "at 2 pixels"),
        (lambda: auitc(np.full((2, 2), np.nan), np.ones((2, 2))), "at 4 pixels"),
        (lambda: top_fraction(np.ones((3, 4, 4)), 0.05), r"\(3, 4, 4\)"),
        (lambda: top_fraction(np.ones((4, 4)), 5), "between 0 and 1, got 5"),
        (lambda: share_on(np.ones((2, 2)), np.full((2, 2), 255)), "0 and 1 only"),
        (lambda: iou_at(np.eye(2), np.eye(3)), r"\(2, 2\).*\(3, 3\)"),
        (lambda: auitc(np.eye(2), np.eye(3)), r"one shape, not \(2, 2\), \(3, 3\)"),
        (lambda: auitc(np.eye(2), np.eye(2), axis="rank"), "'rank'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, words):
    """NaN maps, stacks, percentages, 0/255 masks, shapes and names are refused."""
    with pytest.raises(ValueError, match=words):
        call()


@given(maps, masks)
def test_shares_of_a_map_add_up(saliency, region):
    """The shares on a region and off it sum to one; those of a map of zeros are 0."""
    shares = share_on(saliency, region) + share_on(saliency, ~region)
    assert shares == pytest.approx(1 if saliency.any() else 0)


def test_a_map_on_lesion_and_marker():
    """A map on both by hand: confined to the true mask it drops the marker alone."""
    truth, saliency = np.zeros((2, 20, 20), bool)
    truth[5:10, 5:9] = True  # 20 pixels: the top 5 % of 400
    saliency = np.where(truth, 0.5, 0.0)
    saliency[0, :10] = 1.0
    # 10 marker pixels, then 10 of the lesion.
    assert iou_at(saliency, truth) == 10 / 30
    assert iou_at(saliency * truth, truth) == iou_ceiling(truth) == 1
    assert iou_at(saliency, truth, within=truth) == 10 / 20
    # Below 0.5 both show, above it the marker alone.
    assert auitc(saliency, truth) == pytest.approx(0.5 * 20 / 30)
    assert auitc(saliency * truth, truth) == 1
    assert auitc(saliency, truth, within=truth) == 0.5


def test_a_marker_takes_its_share_of_map_and_top_pixels():
    """Of 10 units 4 lie on the marker, and one of the two top pixels; a confined map has none."""
    saliency = np.array([[4.0, 5], [1, 0]])
    marker = np.array([[True, False], [False, False]])
    assert share_on(saliency, marker) == 0.4
    assert top_mass.measure(Case(view=saliency, reference=marker), 0.5) == 0.5
    outside = Case(view=saliency, reference=marker, within=~marker)
    assert top_mass.measure(outside, 0.5) == 0
    constant = Case(view=np.ones((2, 2)), reference=marker)
    assert top_mass.measure(constant, 0.5) == 0
