"""SegX and SegU: masks, refinement, IoU@5 %, AUITC and degraded masks against closed forms."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation, binary_erosion
from skimage.morphology import disk

from segxai.metrics.overlap import iou
from segxai.segmenters.disc import centred_disc
from segxai.segmenters.scope import mask_of, scoped
from segxai.views.degrade import degrade
from segxai.views.segx import (
    ALIGNMENT_SCORES,
    alignment_scores,
    auitc,
    certainty_scores,
    explanation_mask,
    iou_at,
    iou_ceiling,
    segx,
    share_on,
    top_fraction,
)

# Small integers: many ties, and transforms of them are exact.
maps = arrays(np.int64, (7, 9), elements=st.integers(0, 30)).map(lambda x: x.astype(float))
masks = arrays(bool, (7, 9))
fractions = st.floats(0.01, 0.99)
axes = st.sampled_from(["value", "quantile"])


def distance(side: int) -> np.ndarray:
    """Distance to the centre of a square image, in units of its side."""
    centres = (np.arange(side) + 0.5) / side - 0.5
    return np.hypot(centres[:, None], centres)


def naive_auitc(saliency, reference, axis, n, within):
    """Score one threshold after another, as equation 12 reads; 0/0 is left out."""
    midpoints = (np.arange(n) + 0.5) / n
    if axis == "value":
        saliency = saliency - saliency.min()
        saliency = saliency / max(saliency.max(), 1)
        thresholds = midpoints
    else:
        thresholds = np.quantile(saliency, midpoints, method="inverted_cdf")
    scores = [iou((saliency > t) & within, reference) for t in thresholds]
    defined = [score for score in scores if not np.isnan(score)]
    return np.mean(defined) if defined else np.nan


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
    assert top_fraction(saliency).sum() == 3277
    assert (top_fraction(saliency) == (saliency >= 256 * 256 - 3277)).all()
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
    # The value axis sees the values, up to scale and offset.
    assert auitc(4 * saliency - 8, reference, axis) == pytest.approx(
        auitc(saliency, reference, axis), nan_ok=True
    )


@given(maps, fractions, fractions)
def test_larger_fractions_contain_smaller_ones(saliency, a, b):
    """The top masks of a map are nested."""
    small, large = (top_fraction(saliency, fraction) for fraction in sorted((a, b)))
    assert (small <= large).all()


@given(maps, masks, fractions)
def test_explanation_lies_in_the_segmentation(saliency, segmentation, fraction):
    """Either order stays inside; map-first marks at least as many pixels as mask-first."""
    by_map = explanation_mask(saliency, segmentation, "map", fraction)
    by_mask = explanation_mask(saliency, segmentation, "mask", fraction)
    assert (by_map <= segmentation).all()
    assert (by_mask == (top_fraction(saliency, fraction) & segmentation)).all()
    assert by_map.sum() >= by_mask.sum()
    if segmentation.all():
        assert (by_map == top_fraction(saliency, fraction)).all()


def test_refinement_by_hand():
    """Equation 7 on four pixels: the product; its top half is not that of the map."""
    saliency = np.array([[0.9, 0.8], [0.3, 0.2]])
    segmentation = np.array([[False, True], [True, False]])
    assert segx(saliency, segmentation).tolist() == [[0, 0.8], [0.3, 0]]
    by_map = explanation_mask(saliency, segmentation, "map", 0.5)
    by_mask = explanation_mask(saliency, segmentation, "mask", 0.5)
    assert by_map.tolist() == [[False, True], [True, False]]
    assert by_mask.tolist() == [[False, True], [False, False]]


@given(maps, masks, fractions)
def test_iou_never_exceeds_its_ceiling(saliency, truth, fraction):
    """No map, refined or not, exceeds the ceiling; one of distinct values not even the lower."""
    assume(truth.any())
    sparse = iou_ceiling(truth, fraction, sparse=True)
    dense = iou_ceiling(truth, fraction)
    assert dense <= sparse <= 1
    assert iou_at(saliency, truth, fraction) <= sparse
    for order in ("map", "mask"):
        assert iou(explanation_mask(saliency, truth, order, fraction), truth) <= sparse
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
    assert iou(explanation_mask(saliency, truth, "map"), truth) == sparse


def test_order_mask_reaches_the_sparse_ceiling_too():
    """With the true mask, any map whose top 5 % cover a small lesion is refined to the lesion."""
    saliency = np.exp(-distance(100))
    truth = centred_disc((100, 100), 0.02)
    assert iou_at(saliency, truth) == pytest.approx(0.4, abs=0.02)
    assert iou(explanation_mask(saliency, truth, "mask"), truth) == 1


@given(maps, masks, masks, axes, st.integers(1, 120))
def test_auitc_is_the_loop_over_thresholds(saliency, reference, within, axis, n):
    """Sorting once gives what one threshold after another gives, for the whole map or within."""
    everywhere = np.ones_like(within)
    expected = naive_auitc(saliency, reference, axis, n, everywhere)
    assert auitc(saliency, reference, axis, n) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    expected = naive_auitc(saliency, reference, axis, n, within)
    found = auitc(saliency, reference, axis, n, within)
    assert found == pytest.approx(expected, abs=1e-12, nan_ok=True)


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
    segmentation = centred_disc((128, 128), area)
    assert iou_at(segmentation, segmentation, 0.06) == 1
    assert auitc(segmentation, segmentation) == 1


def test_certainty_of_disjoint_masks_is_zero():
    """SegU where the explanation avoids the segmentation: both scores are 0."""
    segmentation = centred_disc((64, 64), 0.2)
    elsewhere = np.where(segmentation, 0, distance(64))
    assert iou_at(elsewhere, segmentation) == 0
    assert auitc(np.where(segmentation, 0, 1), segmentation) == 0


def test_what_says_nothing_is_defined():
    """Constant maps and empty masks give empty explanations, scores of 0, or NaN if both meet."""
    constant, truth = np.full((32, 32), 0.7), centred_disc((32, 32), 0.1)
    empty = np.zeros_like(truth)
    assert not top_fraction(constant).any()
    assert not explanation_mask(distance(32), empty, "map").any()
    assert not explanation_mask(distance(32), empty, "mask").any()
    for score in (iou_at, auitc):
        assert score(constant, truth) == 0
        assert score(distance(32), empty) == 0
        assert np.isnan(score(constant, empty))
    assert np.isnan(iou_ceiling(empty))


def test_refined_small_lesion_gets_no_band_of_ties():
    """A segmentation of 1 % is not filled up to 5 % by zeros from the first rows of the image."""
    segmentation = centred_disc((100, 100), 0.01)
    mask = explanation_mask(np.exp(-distance(100)), segmentation, "map")
    assert (mask == segmentation).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: top_fraction(np.array([[0, np.nan], [np.inf, 1]])), "at 2 pixels"),
        (lambda: auitc(np.full((2, 2), np.nan), np.ones((2, 2))), "at 4 pixels"),
        (lambda: top_fraction(np.ones((3, 4, 4))), r"\(3, 4, 4\)"),
        (lambda: top_fraction(np.ones((4, 4)), 5), "between 0 and 1, got 5"),
        (lambda: segx(np.array([[-1.0, 1]]), np.array([[1, 1]])), "map ≥ 0"),
        (lambda: segx(np.ones((2, 2)), np.full((2, 2), 255)), "0 and 1 only"),
        (lambda: iou_at(np.eye(2), np.eye(3)), r"\(2, 2\).*\(3, 3\)"),
        (lambda: auitc(np.eye(2), np.eye(3)), r"one shape, not \(2, 2\), \(3, 3\)"),
        (lambda: auitc(np.eye(2), np.eye(2), axis="rank"), "'rank'"),
        (lambda: explanation_mask(np.eye(2), np.eye(2), "both"), "'both'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, words):
    """NaN maps, stacks, percentages, signed maps, 0/255 masks, shapes and names are refused."""
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("side", [224, 448])
def test_degraded_masks_are_scipys_with_a_disc(side):
    """Erosion and dilation by 4 px at 224 px equal SciPy's with a disc of that share of the image.

    The mask is cut by the border, which is no edge of it; a mask of 0 and 1 is one of booleans.
    """
    mask = np.zeros((side, side), bool)
    mask[: side // 3, side // 4 : side // 2] = True
    footprint = disk(4 * side // 224)
    eroded = binary_erosion(mask, footprint, border_value=True)
    assert (degrade(mask, "erode", 4, 0) == eroded).all()
    assert (degrade(mask.astype(np.uint8), "erode", 4, 0) == eroded).all()
    assert (degrade(mask, "dilate", 4, 0) == binary_dilation(mask, footprint)).all()


@pytest.mark.parametrize("seed", range(6))
def test_shift_moves_by_the_radius_in_a_seeded_direction(seed):
    """The centre moves by the radius, the shape stays, and twice the radius is the same way."""
    mask = np.zeros((224, 224), bool)
    mask[90:130, 100:120] = True
    centre = np.argwhere(mask).mean(axis=0)
    once, twice = (
        np.argwhere(degrade(mask, "shift", radius, seed)).mean(axis=0) - centre
        for radius in (20, 40)
    )
    assert degrade(mask, "shift", 20, seed).sum() == mask.sum()
    assert np.linalg.norm(once) == pytest.approx(20, abs=0.71)
    np.testing.assert_allclose(twice, 2 * once, atol=1.5)
    moved = np.roll(mask, once.astype(int), axis=(0, 1))
    assert (degrade(mask, "shift", 20, seed) == moved).all()


def test_shift_directions_differ_and_leave_the_image():
    """Seeds give different directions; what leaves the image does not return on the other side."""
    mask = np.zeros((64, 64), bool)
    mask[:, :4] = True
    shifted = [degrade(mask, "shift", 112, seed) for seed in range(20)]
    assert len({one.tobytes() for one in shifted}) > 5
    assert min(one.sum() for one in shifted) == 0
    assert not any(one[:, -4:].any() for one in shifted)


@given(masks, st.floats(0, 200), st.sampled_from(["erode", "dilate", "shift"]))
def test_doses_are_ordered_and_extremes_defined(mask, radius, kind):
    """No dose changes nothing, eroded ⊂ mask ⊂ dilated, empty stays empty and full full."""
    assert (degrade(mask, kind, 0, 1) == mask).all()
    degraded = degrade(mask, kind, radius, 1)
    assert kind != "erode" or (degraded <= mask).all()
    assert kind != "dilate" or (degraded >= mask).all()
    assert kind != "shift" or degraded.sum() <= mask.sum()
    assert not degrade(np.zeros_like(mask), kind, radius, 1).any()
    assert kind == "shift" or degrade(np.ones_like(mask), kind, radius, 1).all()


@pytest.mark.parametrize(("kind", "radius", "words"), [("blur", 1, "'blur'"), ("erode", -1, "-1")])
def test_unknown_degradations_are_refused(kind, radius, words):
    """Another kind, or a negative radius, is refused."""
    with pytest.raises(ValueError, match=words):
        degrade(np.ones((4, 4), bool), kind, radius, 0)


def test_alignment_of_a_map_that_sees_the_marker():
    """A map on lesion and marker by hand: SegX with the true mask drops the marker alone."""
    truth, saliency = np.zeros((2, 20, 20), bool)
    truth[5:10, 5:9] = True  # 20 pixels: the top 5 % of 400
    saliency = np.where(truth, 0.5, 0.0)
    saliency[0, :10] = 1.0
    scores = alignment_scores(saliency, truth, truth)
    assert list(scores) == list(ALIGNMENT_SCORES)
    # 10 marker pixels, then 10 of the lesion.
    assert scores["iou_original"] == 10 / 30
    assert scores["iou_segx"] == scores["iou_segmentation"] == scores["ceiling"] == 1
    assert scores["iou_segx_threshold_first"] == 10 / 20
    # Below 0.5 both show, above it the marker alone.
    assert scores["auitc_original"] == pytest.approx(0.5 * 20 / 30)
    assert scores["auitc_segx"] == 1
    assert scores["auitc_segx_threshold_first"] == 0.5
    certainty = certainty_scores(saliency, truth)
    assert certainty == {"c_iou": scores["iou_original"], "c_auitc": scores["auitc_original"]}


def test_alignment_without_truth_is_undefined():
    """Where nothing is to be found, no score says how well an explanation found it."""
    saliency = np.arange(100.0).reshape(10, 10)
    scores = alignment_scores(saliency, saliency > 50, np.zeros((10, 10), bool))
    assert set(scores) == set(ALIGNMENT_SCORES)
    assert np.isnan(list(scores.values())).all()


def test_empty_segmentation_leaves_no_explanation():
    """Without a segmentation SegX and SegU are 0, and the map's own scores stay."""
    truth = np.zeros((10, 10), bool)
    truth[2:5, 2:5] = True
    saliency = truth + 0.1
    scores = alignment_scores(saliency, np.zeros_like(truth), truth)
    assert scores["iou_segx"] == scores["auitc_segx"] == scores["iou_segmentation"] == 0
    assert scores["iou_original"] > 0.5
    assert certainty_scores(saliency, np.zeros_like(truth)) == {"c_iou": 0, "c_auitc": 0}


@given(maps, masks)
def test_shares_of_a_map_add_up(saliency, region):
    """The shares on a region and off it sum to one; a map of zeros has none."""
    if saliency.any():
        assert share_on(saliency, region) + share_on(saliency, ~region) == pytest.approx(1)
    else:
        assert np.isnan(share_on(saliency, region))


def test_scopes_of_masks():
    """A union holds what any class holds; a class finds its mask, or the only one there is."""
    masks = np.zeros((2, 3, 4, 4), np.uint8)
    masks[0, 0, 0, 0] = masks[0, 2, 1, 1] = masks[1, 1, 2, 2] = 1
    assert scoped(masks, "union").sum(axis=(1, 2)).tolist() == [2, 1]
    assert scoped(masks, "per_class") is masks
    single = masks[:, 0]
    assert scoped(single, "union") is scoped(single, "per_class") is single
    np.testing.assert_array_equal(mask_of(masks[0], 2), masks[0, 2])
    np.testing.assert_array_equal(mask_of(single[0], 2), single[0])
    with pytest.raises(ValueError, match="scope must be"):
        scoped(masks, "both")
