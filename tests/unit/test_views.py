"""Contract of views, and each view against closed forms."""

import importlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import gaussian_filter

from segxai.explain.maps import StoredMap
from segxai.views import fused, positive, relevance, segx, segx_mask_first, smoothed
from segxai.views.components import first_component
from segxai.views.fused import fuse
from segxai.views.grey import pixels, smooth
from segxai.workflow.plugins import methods

SHAPE = (48, 40)
masks = arrays(bool, (7, 9))


def view_of(method: str, stored: StoredMap, shape: tuple[int, int] = SHAPE):
    """Give a view with its default settings: map, and mask that it is thresholded within."""
    module = importlib.import_module(f"segxai.views.{method}")
    segmentation = np.zeros(shape, np.uint8)
    segmentation[: shape[0] // 2] = 1
    keys = np.random.default_rng(5).standard_normal((6, 5, 8))
    readable = {"segmentation": segmentation, "keys": keys - keys.mean(axis=(0, 1))}
    reads = {name: readable[name] for name in module.ABOUT["reads"]}
    settings = {name: setting["default"] for name, setting in module.ABOUT["settings"].items()}
    result = module.view(stored, shape, **reads, **settings)
    return result if isinstance(result, tuple) else (result, np.ones(shape, bool))


def attribution(seed: int = 0, side: int = 24) -> StoredMap:
    """Random attribution of three channels, as it is stored."""
    values = np.random.default_rng(seed).standard_normal((3, side, side)).astype(np.float32)
    return StoredMap(values.sum(axis=0), np.abs(values).sum(axis=0))


def blob(side: int, centre: tuple[float, float], sigma: float) -> np.ndarray:
    """Gaussian bump of height 1 on a square grid."""
    rows, columns = np.indices((side, side))
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return np.exp(-distance / (2 * sigma**2))


@pytest.mark.parametrize("method", methods("views"))
def test_a_view_is_a_finite_map_of_the_analysis_size(method):
    """Every view has the given shape, is finite and ≥ 0, and is not empty."""
    shown, within = view_of(method, attribution())
    assert shown.shape == within.shape == SHAPE
    assert within.dtype == bool
    assert np.isfinite(shown).all()
    assert shown.min() >= 0 < shown.max()


@pytest.mark.parametrize("method", methods("views"))
def test_an_attribution_of_zeros_has_an_empty_view(method):
    """Where nothing was attributed, nothing is shown."""
    zeros = np.zeros((24, 24), np.float32)
    assert not view_of(method, StoredMap(zeros, zeros))[0].any()


@pytest.mark.parametrize("method", methods("views"))
@pytest.mark.parametrize("scale", [2.0**-20, 2.0**20])
def test_the_unit_of_an_attribution_does_not_matter(method, scale):
    """A view of an attribution times a positive number is the same view."""
    stored = attribution(1)
    scaled = StoredMap(*(np.float32(scale) * part for part in stored))
    np.testing.assert_array_equal(view_of(method, scaled)[0], view_of(method, stored)[0])


def test_relevance_is_the_magnitude_at_the_analysis_size():
    """At its own size relevance is the magnitude over its peak; larger, a corner stays."""
    stored = attribution(2)
    own = relevance.view(stored, (24, 24))
    np.testing.assert_allclose(own, stored.magnitude / stored.magnitude.max(), rtol=1e-6)
    assert own.dtype == np.float32
    assert own.max() == 1
    constant = StoredMap(np.zeros((4, 4)), np.ones((4, 4)))
    np.testing.assert_array_equal(relevance.view(constant, (9, 7)), np.ones((9, 7)))


def test_positive_relevance_leaves_out_what_speaks_against():
    """Signs cancel across channels first; what remains negative is zero."""
    stored = StoredMap(np.array([[2.0, -3], [0, 1]]), np.array([[4.0, 3], [6, 1]]))
    assert positive.view(stored, (2, 2)).tolist() == [[1, 0], [0, 0.5]]


def test_smoothing_is_scipys_gaussian_of_the_clipped_map():
    """At 224 px the map is clipped, filtered with σ in pixels, and scaled to 0…1."""
    grey = np.random.default_rng(0).exponential(size=(224, 224))
    expected = gaussian_filter(np.minimum(grey, np.percentile(grey, 99)), 8)
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(smooth(grey, 99, 8), expected)
    shown = smoothed.view(StoredMap(grey, grey), (224, 224), clip_percentile=99, sigma=8)
    np.testing.assert_allclose(shown, expected, atol=1e-6)


def test_smoothing_length_scales_with_the_image():
    """A length is the same share of the image at every size."""
    assert pixels(8, (448, 448)) == 16
    small = smooth(blob(112, (50, 60), 10), 100, 8)
    large = smooth(blob(224, (100.5, 120.5), 20), 100, 8)
    np.testing.assert_allclose(large[::2, ::2], small, atol=0.03)


def test_fusion_does_not_depend_on_the_sign_of_the_component():
    """A principal component and its mirror image fuse to the same map."""
    grey = blob(96, (30, 60), 12)
    component = np.random.default_rng(2).random((12, 12))
    np.testing.assert_allclose(fuse(grey, component), fuse(grey, 1 - component), atol=1e-12)


def test_fusion_suppresses_relevance_where_features_are_low():
    """Of two equally relevant blobs the one on high features survives."""
    grey = blob(96, (24, 24), 8) + 0.6 * blob(96, (72, 72), 8)
    shown = fuse(grey, blob(12, (3, 3), 2))
    assert shown[72, 72] < 0.1 * shown[24, 24]


def test_the_fused_view_is_the_smoothed_one_times_the_features():
    """Fusion starts from the map that `smoothed` shows, and takes the keys' first component."""
    stored, keys = attribution(3), np.random.default_rng(6).random((12, 12, 5))
    settings = {"clip_percentile": 99, "sigma": 4}
    shown = fused.view(stored, (48, 48), keys=keys, **settings)
    expected = fuse(smoothed.view(stored, (48, 48), **settings), first_component(keys))
    np.testing.assert_array_equal(shown, expected)


def test_refinement_by_hand():
    """Equation 7 on four pixels is the product; threshold-first keeps the map and its mask."""
    magnitude = np.array([[1.0, 0.75], [0.5, 0.25]])
    stored, mask = StoredMap(magnitude, magnitude), np.array([[0, 1], [1, 0]])
    refined = segx.view(stored, (2, 2), segmentation=mask)
    assert refined.tolist() == [[0, 0.75], [0.5, 0]]
    shown, within = segx_mask_first.view(stored, (2, 2), segmentation=mask)
    assert shown.tolist() == magnitude.tolist()
    assert within.tolist() == [[False, True], [True, False]]


@given(arrays(np.float32, (7, 9), elements=st.integers(0, 30)), masks)
def test_segx_shows_nothing_outside_the_segmentation(magnitude, segmentation):
    """The refined map is the relevance inside, zero outside, and empty with the segmentation."""
    stored = StoredMap(magnitude, magnitude)
    refined = segx.view(stored, (7, 9), segmentation=segmentation)
    shown = relevance.view(stored, (7, 9))
    np.testing.assert_array_equal(refined[segmentation], shown[segmentation])
    assert not refined[~segmentation].any()


@pytest.mark.parametrize("method", [segx, segx_mask_first])
def test_a_segmentation_must_be_a_mask(method):
    """A mask of 0 and 255 is refused with the remedy."""
    with pytest.raises(ValueError, match="segmentation must hold 0 and 1 only"):
        method.view(attribution(), (4, 4), segmentation=np.full((4, 4), 255))
