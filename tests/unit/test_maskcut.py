"""MaskCut: planted objects in order, the official dense procedure, the finish at pixels."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from segxai.segmenters.maskcut import CRF, FOREGROUND, cut_objects, refine
from segxai.segmenters.tokens import NoPartition


def maskcut(features: np.ndarray, max_objects: int = 3) -> np.ndarray:
    """Masks (k, h, w) of the grid that are kept, at the published τ."""
    cuts = cut_objects(features, 0.15, max_objects)
    return np.stack([cut.mask for cut in cuts if cut.mask.any()])


def planted(labels: np.ndarray, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Features (h, w, 16) of one direction per label, plus noise."""
    rng = np.random.default_rng(seed)
    return np.eye(16)[labels] + noise * rng.standard_normal((*labels.shape, 16))


def official(features: np.ndarray, tau: float, n: int) -> tuple[list[np.ndarray], float]:
    """Masks of MaskCut step by step as in its published code, and how well they are defined.

    The one liberty: the eigenvector's sign, LAPACK's whim there, makes its peak positive.
    """
    dims = features.shape[:2]
    painting = np.zeros(dims)
    masks, current, margin = [], None, np.inf
    for i in range(n):
        if i:
            painting = np.minimum(painting + current, 1)
            features = features * (1 - painting)[..., None]
        tokens = features.reshape(-1, features.shape[-1])
        tokens = tokens / np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
        affinity = np.where(tokens @ tokens.T > tau, 1.0, 1e-5)
        degree = np.diag(affinity.sum(axis=1))
        values, vectors = scipy.linalg.eigh(degree - affinity, degree)
        vector = vectors[:, 1]
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        bipartition = vector > vector.mean()
        seed = np.argmax(np.abs(vector))
        grid = bipartition.reshape(dims)
        corners = int(grid[0, 0]) + int(grid[0, -1]) + int(grid[-1, 0]) + int(grid[-1, -1])
        if corners >= 3 or not bipartition[seed]:
            vector = -vector
            bipartition = np.logical_not(bipartition)
        seed = np.argmax(vector)
        objects, _ = ndimage.label(bipartition.reshape(dims))
        mask = (objects == objects[np.unravel_index(seed, dims)]).astype(float)
        ranked = np.sort(vector)
        spread = np.abs(vector - vector.mean())
        margin = min(margin, values[2] - values[1], ranked[-1] - ranked[-2], spread.min())
        if i:
            overlap = np.logical_and(current, mask).sum() / np.logical_or(current, mask).sum()
            if overlap > 0.5 or mask.mean() <= 0.01:
                mask = np.zeros(dims)
        current = mask
        masks.append(np.maximum(mask - np.sum(masks, axis=0), 0) if masks else mask)
    return [mask > 0 for mask in masks], margin


def test_planted_objects_are_found_in_order():
    """Objects inside a ground that holds the corners are cut one by one, largest first."""
    labels = np.zeros((16, 22), int)
    labels[9:14, 3:17], labels[2:7, 9:14], labels[2:5, 2:5] = 1, 2, 3
    masks = maskcut(planted(labels))
    assert masks.shape == (3, 16, 22)
    for number, mask in enumerate(masks, start=1):
        np.testing.assert_array_equal(mask, labels == number)


def test_two_objects_with_noise():
    """Noise on the features does not change the objects; the third cut adds nothing to them."""
    labels = np.zeros((12, 17), int)
    labels[2:5, 2:7], labels[7:10, 9:14] = 1, 2
    first, second = maskcut(planted(labels, noise=0.03), max_objects=2)
    objects = {tuple(np.unique(labels[mask])) for mask in (first, second)}
    assert objects == {(1,), (2,)}
    assert (first | second).sum() == (labels > 0).sum()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(7, 13),
    width=st.integers(7, 13),
    noise=st.floats(0.1, 0.6),
)
def test_equals_the_official_procedure(seed, height, width, noise):
    """On features with clear eigengaps all masks are those of the official dense procedure."""
    labels = np.zeros((height, width), int)
    labels[1:4, 1:4], labels[4:7, 3:7] = 1, 2
    features = planted(labels, noise, seed)
    expected, margin = official(features, 0.15, 3)
    assume(margin > 1e-8)
    masks = [cut.mask for cut in cut_objects(features, 0.15, 3)]
    np.testing.assert_array_equal(masks, expected)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 5), scale=st.floats(1e-3, 1e3))
def test_masks_are_disjoint_not_empty_and_free_of_units(seed, n, scale):
    """Whatever the features: 1 to n masks, none empty or overlapping, for any unit."""
    features = np.random.default_rng(seed).standard_normal((7, 11, 5))
    masks = maskcut(features, max_objects=n)
    assert masks.dtype == bool
    assert masks.shape[1:] == (7, 11)
    assert 1 <= len(masks) <= n
    assert masks.any(axis=(1, 2)).all()
    assert masks.sum(axis=0).max() == 1
    np.testing.assert_array_equal(maskcut(scale * features, max_objects=1), masks[:1])


def test_small_and_repeated_objects_are_dropped():
    """An object of 1 % of the grid, or the one before once more, is empty, and the loop goes on."""
    labels = np.zeros((20, 20), int)
    labels[3:9, 3:9], labels[13:15, 13:15] = 1, 2
    assert [cut.mask.sum() for cut in cut_objects(planted(labels), 0.15, 3)] == [36, 0, 0]
    labels[13:15, 13:16] = 2
    assert [cut.mask.sum() for cut in cut_objects(planted(labels), 0.15, 3)] == [36, 6, 0]
    assert len(maskcut(planted(labels))) == 2


@pytest.mark.parametrize("features", [np.ones((6, 7, 4)), np.zeros((6, 7, 4))])
def test_equal_tokens_are_refused(features):
    """Constant and zero features have no first object."""
    with pytest.raises(NoPartition, match="centre the features"):
        maskcut(features)


@pytest.mark.parametrize(
    ("features", "words"),
    [(np.ones((1, 1, 8)), "3 tokens"), (np.full((4, 4, 8), np.nan), "NaN")],
)
def test_impossible_features_are_refused(features, words):
    """One token and NaN are refused with the reason."""
    with pytest.raises(ValueError, match=words):
        maskcut(features)


def test_ends_when_every_token_is_found():
    """Where nothing is left to cut the objects end, without error and before `max_objects`."""
    labels = np.zeros((6, 8), int)
    labels[:, 4:] = 1
    masks = maskcut(planted(labels, 0.01), max_objects=50)
    assert len(masks) < 50
    assert masks.sum(axis=0).max() == 1


def two_squares() -> tuple[np.ndarray, np.ndarray]:
    """Image (96, 120, 3) of two bright squares on a dark ground, and their mask of 8 px cells."""
    image = np.full((96, 120, 3), 30, np.uint8)
    image[20:44, 16:40], image[50:82, 70:102] = 220, 220
    masks = np.zeros((2, 12, 15), bool)
    masks[0, 2:6, 2:5], masks[1, 6:10, 9:13] = True, True
    return image, masks


def test_refined_masks_follow_the_image():
    """The CRF moves the edges of coarse masks to those of the image; the masks are joined."""
    image, masks = two_squares()
    squares = image[..., 0] > 100
    coarse = masks.any(axis=0).repeat(8, axis=0).repeat(8, axis=1)
    union = refine(masks, image)
    assert (union != squares).sum() < 0.5 * (coarse != squares).sum()
    np.testing.assert_array_equal(union, refine(masks[:1], image) | refine(masks[1:], image))


def test_images_that_cannot_be_written_to_are_taken():
    """A read-only image, as memory-mapped ones are, gives the same mask."""
    image, masks = two_squares()
    expected = refine(masks, image)
    image.flags.writeable = False
    np.testing.assert_array_equal(refine(masks, image), expected)


def test_holes_are_filled():
    """A hole in the image's object is part of the mask."""
    image, masks = two_squares()
    image[60:64, 80:84] = 30
    assert refine(masks[1:], image)[60:64, 80:84].all()


def test_what_the_crf_does_not_confirm_is_dropped():
    """A speck that the CRF removes is not part of the mask, and other masks stay."""
    image = np.full((96, 96, 3), 128, np.uint8)
    speck = np.zeros((1, 96, 96), bool)
    speck[0, 50, 50] = True
    assert not refine(speck, image).any()
    square = np.zeros((1, 96, 96), bool)
    square[0, 10:60, 10:60] = True
    both = refine(np.concatenate([speck, square]), image)
    np.testing.assert_array_equal(both, refine(square, image))
    assert both.any()


def test_crf_is_the_official_one():
    """Unaries are 0.27 and 0.73, and lengths at 480 px are 3 and 50 px."""
    assert pytest.approx(0.731, abs=1e-3) == FOREGROUND
    assert CRF["gaussian_sxy"] * 480 / 224 == pytest.approx(3)
    assert CRF["bilateral_sxy"] * 480 / 224 == pytest.approx(50)
