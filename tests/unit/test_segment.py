"""Smoothing, fusion, thresholds, morphology, CRF and the search for settings."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist
from skimage.filters import threshold_otsu

from segxai.metrics.overlap import dice
from segxai.segmenters.chain import refine, segment
from segxai.segmenters.crf import dense_crf, foreground_probability
from segxai.segmenters.disc import centred_disc
from segxai.segmenters.morphology import morphology
from segxai.segmenters.otsu import otsu, otsu_image
from segxai.segmenters.registry import RELEVANCE_SEGMENTERS
from segxai.segmenters.tuning import candidates, coarse_scores
from segxai.views.fusion import fuse
from segxai.views.grey import equalise, pixels, smooth

MORPHOLOGY = {
    "equalisation": "histogram",
    "dilate": 5,
    "erode": 3,
    "min_component": 0.005,
    "max_hole": 0.01,
}
CRF = {
    "iterations": 10,
    "gaussian_sxy": 3,
    "gaussian_compat": 7,
    "bilateral_sxy": 50,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


def blob(side: int, centre: tuple[float, float], sigma: float) -> np.ndarray:
    """Gaussian bump of height 1 on a square grid."""
    rows, columns = np.indices((side, side))
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return np.exp(-distance / (2 * sigma**2))


def test_smoothing_is_scipys_gaussian_of_the_clipped_map():
    """At 224 px the map is clipped, filtered with σ in pixels, and scaled to 0…1."""
    relevance = np.random.default_rng(0).exponential(size=(224, 224))
    expected = gaussian_filter(np.minimum(relevance, np.percentile(relevance, 99)), 8)
    expected = (expected - expected.min()) / np.ptp(expected)
    np.testing.assert_allclose(smooth(relevance, 99, 8), expected)


def test_smoothing_length_scales_with_the_image():
    """A length is the same share of the image at every size."""
    assert pixels(8, (448, 448)) == 16
    small = smooth(blob(112, (50, 60), 10), 100, 8)
    large = smooth(blob(224, (100.5, 120.5), 20), 100, 8)
    np.testing.assert_allclose(large[::2, ::2], small, atol=0.03)


def test_constant_maps_give_empty_masks():
    """A map that says nothing gives zeros and empty masks instead of a division by zero."""
    constant = np.full((64, 64), 0.7)
    assert not smooth(constant, 99, 8).any()
    assert not otsu(constant).any()
    assert not morphology(smooth(constant, 99, 8), **MORPHOLOGY).any()
    assert not fuse(np.zeros((64, 64)), np.zeros((8, 8))).any()


def test_otsu_is_scikit_images_threshold():
    """Pixels above `threshold_otsu`; the darker side of an image is the complement."""
    grey = np.random.default_rng(1).random((40, 40)) ** 3
    assert (otsu(grey) == (grey > threshold_otsu(grey))).all()
    image = np.zeros((20, 20, 3), np.uint8)
    image[5:9, 3:12] = 200
    assert (otsu_image(image, brighter=True) == (image[..., 0] > 0)).all()
    assert (otsu_image(image, brighter=False) == (image[..., 0] == 0)).all()


@pytest.mark.parametrize("area", [0.02, 0.15, 0.5])
def test_disc_has_its_area_and_is_centred(area):
    """The disc covers the asked share of the image and is symmetric about its centre."""
    mask = centred_disc((200, 200), area)
    assert mask.mean() == pytest.approx(area, rel=0.02)
    assert (mask == mask[::-1]).all()
    assert (mask == mask[:, ::-1]).all()


def test_fusion_does_not_depend_on_the_sign_of_the_component():
    """A principal component and its mirror image fuse to the same map."""
    relevance = blob(96, (30, 60), 12)
    component = np.random.default_rng(2).random((12, 12))
    np.testing.assert_allclose(
        fuse(relevance, component), fuse(relevance, 1 - component), atol=1e-12
    )


def test_fusion_suppresses_relevance_where_features_are_low():
    """Of two equally relevant blobs the one on high features survives."""
    relevance = blob(96, (24, 24), 8) + 0.6 * blob(96, (72, 72), 8)
    component = blob(12, (3, 3), 2)
    fused = fuse(relevance, component)
    assert fused[72, 72] < 0.1 * fused[24, 24]


def test_equalised_histogram_is_split_near_its_median():
    """Global equalisation makes Otsu mark about half of a continuous map (docs/deviations.md)."""
    grey = np.random.default_rng(0).beta(1, 5, (224, 224))
    assert otsu(equalise(grey, "histogram")).mean() == pytest.approx(0.5, abs=0.02)
    assert otsu(equalise(grey, "none")).mean() < 0.4
    np.testing.assert_array_equal(equalise(grey, "adaptive"), equalize_adapthist(grey))


def test_morphology_keeps_the_blob_and_drops_specks_and_border():
    """A blob remains; a speck and a component at the border go; a small hole is filled."""
    grey = blob(224, (110, 120), 22)
    grey[108:111, 118:121] = 0.0
    grey[10:12, 10:12] = 1.0
    grey[:14, 150:180] = 1.0
    mask = morphology(grey, **MORPHOLOGY)
    assert mask[110, 120]
    assert not mask[11, 11]
    assert not mask[5, 165]


def test_morphology_keeps_a_lesion_that_touches_the_border_if_nothing_else_remains():
    """A single component at the border is a lesion cut by the border, not an artefact."""
    assert morphology(blob(224, (0, 112), 30), **MORPHOLOGY)[5, 112]


def test_foreground_probability_is_the_stated_mixture():
    """The unary is w·mask + (1 − w)·relevance, kept off 0 and 1."""
    mask = np.array([[True, False]])
    grey = np.array([[0.5, 0.2]])
    np.testing.assert_allclose(foreground_probability(mask, grey, 0.7), [[0.85, 0.06]])
    np.testing.assert_allclose(foreground_probability(mask, mask * 1.0, 0.7), [[0.95, 0.05]])


def test_crf_moves_a_sloppy_mask_to_the_edges_of_the_image():
    """A shifted mask of a uniform square is drawn to the square's own edges."""
    truth = np.zeros((96, 96), bool)
    truth[30:66, 30:66] = True
    image = np.where(truth[..., None], (200, 60, 60), (60, 160, 60)).astype(np.uint8)
    sloppy = np.roll(truth, (5, -5), axis=(0, 1))
    probability = foreground_probability(sloppy, sloppy * 0.5, 0.7)
    refined = dense_crf(image, probability, **CRF)
    assert dice(refined, truth) > 0.99 > dice(sloppy, truth)


def test_crf_without_pairwise_terms_or_steps_keeps_the_unary_decision():
    """With zero mean-field steps the result is the thresholded probability."""
    probability = np.random.default_rng(4).uniform(0.05, 0.95, (30, 40))
    image = np.zeros((30, 40, 3), np.uint8)
    assert (dense_crf(image, probability, **{**CRF, "iterations": 0}) == (probability > 0.5)).all()


def settings_of(sigma: float) -> dict:
    """Complete settings as the study's configuration has them."""
    return {
        "smoothing": {"clip_percentile": 100, "sigma": sigma},
        "morphology": MORPHOLOGY,
        "ncut": {"grid": 28, "sigma_relevance": 0.3, "sigma_distance": None},
        "crf": {**CRF, "mask_weight": 0.7},
    }


def test_candidates_are_the_product_of_the_grid_with_the_defaults_first():
    """Every combination once, the default settings first even where the grid leaves them out."""
    grid = {"smoothing": {"sigma": [4, 8]}, "ncut": {"sigma_relevance": [0.1, 0.5]}}
    tried = candidates(settings_of(8), grid, ("smoothing", "ncut"))
    assert tried[0] == settings_of(8)
    pairs = [(c["smoothing"]["sigma"], c["ncut"]["sigma_relevance"]) for c in tried]
    assert pairs == [(s, r) for s in (8, 4) for r in (0.3, 0.1, 0.5)]
    assert candidates(settings_of(8), {}, ("crf",)) == [settings_of(8)]


def test_search_scores_are_the_dice_of_the_masks_that_the_study_cuts():
    """A candidate's score equals the Dice of `segment` with those settings."""
    relevance = blob(112, (50, 60), 14).astype(np.float16)
    truth = blob(112, (50, 60), 14) > 0.5
    image = np.zeros((112, 112, 3), np.uint8)
    tried = [settings_of(2), settings_of(30)]
    scores = coarse_scores((image, truth, (relevance, None)), "ncut", tried)
    masks = [segment((relevance, None), "ncut", chosen) for chosen in tried]
    assert scores == [float(dice(mask, truth)) for mask in masks]
    assert scores[0] > scores[1]


def test_refinement_runs_on_fused_maps_too():
    """A refined mask has the image's shape and overlaps the coarse one on a clean image."""
    truth = blob(112, (50, 60), 14) > 0.5
    image = np.where(truth[..., None], 220, 40).astype(np.uint8).repeat(3, axis=2)
    maps = (blob(112, (50, 60), 14), blob(14, (6, 7), 2))
    chosen = settings_of(2)
    mask = segment(maps, "ncut", chosen)
    assert dice(refine((image, mask, maps), chosen), truth) > 0.95


def test_a_segmenter_without_settings_needs_no_section(monkeypatch):
    """A method that has no settings is called with the map alone; smoothing is searched."""
    monkeypatch.setitem(RELEVANCE_SEGMENTERS, "otsu", otsu)
    relevance = np.random.default_rng(5).random((40, 40))
    settings = {"smoothing": {"clip_percentile": 99, "sigma": 8}}
    expected = otsu(smooth(relevance, **settings["smoothing"]))
    np.testing.assert_array_equal(segment((relevance, None), "otsu", settings), expected)
    tried = candidates(settings, {"smoothing": {"sigma": [4]}}, ("smoothing", "otsu"))
    assert [each["smoothing"]["sigma"] for each in tried] == [8, 4]
