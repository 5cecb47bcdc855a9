"""Thresholds, morphology, CRF, controls and the search for settings."""

from functools import partial

import numpy as np
import pytest
from skimage.exposure import equalize_adapthist
from skimage.filters import threshold_otsu

from segxai.explain.maps import StoredMap
from segxai.metrics.overlap import dice
from segxai.segmenters import centred_disc, crf, morphology, ncut, otsu_grey
from segxai.segmenters.chain import Item, cut
from segxai.segmenters.crf import dense_crf, foreground_probability
from segxai.segmenters.tuning import candidates, trial_scores
from segxai.views import smoothed
from segxai.views.grey import above_otsu, equalise

CRF = {
    "iterations": 10,
    "gaussian_sxy": 3,
    "gaussian_compat": 7,
    "bilateral_sxy": 50,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


def defaults(module) -> dict:
    """Default settings of a method."""
    return {name: setting["default"] for name, setting in module.ABOUT["settings"].items()}


def blob(side: int, centre: tuple[float, float], sigma: float) -> np.ndarray:
    """Gaussian bump of height 1 on a square grid."""
    rows, columns = np.indices((side, side))
    distance = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2
    return np.exp(-distance / (2 * sigma**2))


def test_otsu_is_scikit_images_threshold():
    """Pixels above `threshold_otsu`; the darker side of an image is the complement."""
    grey = np.random.default_rng(1).random((40, 40)) ** 3
    assert (above_otsu(grey) == (grey > threshold_otsu(grey))).all()
    image = np.zeros((20, 20, 3), np.uint8)
    image[5:9, 3:12] = 200
    assert (otsu_grey.segment(image, True) == (image[..., 0] > 0)).all()
    assert (otsu_grey.segment(image, False) == (image[..., 0] == 0)).all()


@pytest.mark.parametrize("brighter", [True, False])
def test_otsus_side_is_the_one_that_fits_the_training_images(brighter):
    """Training masks of the bright or of the dark pixels decide the side; a draw the bright one."""
    image = np.zeros((20, 20, 3), np.uint8)
    image[5:9, 3:12] = 200
    truth = (image[..., 0] > 0) == brighter
    assert otsu_grey.prepare([(image, truth), (image, np.zeros_like(truth))]) == brighter
    assert otsu_grey.prepare([(image, np.zeros((20, 20), bool))])


@pytest.mark.parametrize("area", [0.02, 0.15, 0.5])
def test_disc_has_its_area_and_is_centred(area):
    """The disc has the training masks' mean area and is symmetric about the centre."""
    training = [(None, np.arange(1000) < 500 * area), (None, np.arange(1000) < 1500 * area)]
    mask = centred_disc.segment(np.zeros((200, 200, 3)), centred_disc.prepare(training))
    assert mask.mean() == pytest.approx(area, rel=0.02)
    assert (mask == mask[::-1]).all()
    assert (mask == mask[:, ::-1]).all()


def test_equalised_histogram_is_split_near_its_median():
    """Global equalisation makes Otsu mark about half of a continuous map (docs/deviations.md)."""
    grey = np.random.default_rng(0).beta(1, 5, (224, 224))
    assert above_otsu(equalise(grey, "histogram")).mean() == pytest.approx(0.5, abs=0.02)
    assert above_otsu(equalise(grey, "none")).mean() < 0.4
    np.testing.assert_array_equal(equalise(grey, "adaptive"), equalize_adapthist(grey))


def test_morphology_keeps_the_blob_and_drops_specks_and_border():
    """A blob remains; a speck and a component at the border go; a small hole is filled."""
    grey = blob(224, (110, 120), 22)
    grey[108:111, 118:121] = 0.0
    grey[10:12, 10:12] = 1.0
    grey[:14, 150:180] = 1.0
    mask = morphology.segment(grey, **defaults(morphology))
    assert mask[110, 120]
    assert not mask[11, 11]
    assert not mask[5, 165]


def test_morphology_keeps_a_lesion_that_touches_the_border_if_nothing_else_remains():
    """A single component at the border is a lesion cut by the border, not an artefact."""
    mask = morphology.segment(blob(224, (0, 112), 30), **defaults(morphology))
    assert mask[5, 112]


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


def test_candidates_are_the_product_of_the_grid_with_the_defaults_first():
    """Every combination once, the default settings first even where the grid leaves them out."""
    grid = {"sigma_relevance": [0.1, 0.5], "grid": [14, 28]}
    tried = candidates(defaults(ncut), grid)
    assert tried[0] == defaults(ncut)
    pairs = [(settings["sigma_relevance"], settings["grid"]) for settings in tried]
    assert pairs == [(s, g) for s in (0.3, 0.1, 0.5) for g in (28, 14)]
    assert candidates(defaults(ncut), {}) == [defaults(ncut)]


def test_trial_scores_are_the_dice_of_the_masks_that_the_study_cuts():
    """A candidate's score equals the Dice of `cut` with its settings, the view's outermost."""
    relevance = blob(112, (50, 60), 14).astype(np.float32)
    truth = relevance > 0.5
    item = Item(StoredMap(relevance, relevance), (112, 112), {}, {})
    views = [{"clip_percentile": 100, "sigma": sigma} for sigma in (2, 30)]
    cuts = [defaults(ncut) | {"sigma_relevance": sigma} for sigma in (0.3, 0.5)]
    scores = trial_scores((item, truth), smoothed.view, ncut.segment, views, cuts)
    masks = [
        cut(item, partial(smoothed.view, **view), partial(ncut.segment, **settings))
        for view in views
        for settings in cuts
    ]
    assert scores == [float(dice(mask, truth)) for mask in masks]
    assert scores[0] > scores[2]


def test_refinement_reads_the_mask_the_view_and_the_image():
    """A refined mask is the CRF's of the coarse mask and the view, and follows the image."""
    relevance = blob(112, (50, 60), 14).astype(np.float32)
    truth = relevance > 0.5
    image = np.where(truth[..., None], 220, 40).astype(np.uint8).repeat(3, axis=2)
    coarse = np.roll(truth, (4, -4), axis=(0, 1))
    view = partial(smoothed.view, clip_percentile=100, sigma=2)
    reads = {"mask": coarse, "image": image}
    item = Item(StoredMap(relevance, relevance), (112, 112), {}, reads)
    refined = cut(item, view, partial(crf.segment, **defaults(crf)))
    grey = view(item.stored, item.shape)
    np.testing.assert_array_equal(refined, crf.segment(grey, coarse, image, **defaults(crf)))
    assert dice(refined, truth) > 0.95 > dice(coarse, truth)
