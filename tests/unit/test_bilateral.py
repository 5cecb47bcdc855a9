"""The fast bilateral solver: closed forms, a dense solution, edges of an image."""

import numpy as np
import pytest
from PIL import Image

from segxai.segmenters.bilateral import bilateral_solver, snap


def halves(height: int = 64, width: int = 80) -> np.ndarray:
    """Image (H, W, 3), red on the left and blue on the right."""
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 0] = 200
    image[:, width // 2 :, 2] = 200
    return image


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_constant_target_stays(value):
    """The smoothness term does not touch a constant."""
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    np.testing.assert_allclose(bilateral_solver(np.full((40, 50), value), image), value, atol=1e-6)


def test_shifted_mask_returns_to_the_edge():
    """A mask that misses the edge of a two-colour image by 6 px ends on it."""
    image = halves()
    truth = np.indices((64, 80))[1] < 40
    shifted = np.indices((64, 80))[1] < 34
    np.testing.assert_array_equal(bilateral_solver(shifted, image) > 0.5, truth)
    np.testing.assert_array_equal(snap(shifted, image), truth)


def test_colours_do_not_mix_and_the_mean_is_kept():
    """Unlike halves keep their mean each; no smoothness keeps each vertex at its own mean."""
    rng = np.random.default_rng(1)
    target = rng.random((64, 80))
    solved = bilateral_solver(target, halves())
    for side in (np.s_[:, :40], np.s_[:, 40:]):
        assert solved[side].mean() == pytest.approx(target[side].mean(), abs=1e-4)
        assert solved[side].std() < 0.3 * target[side].std()
    free = bilateral_solver(target, halves(), smoothness=0)
    assert np.ptp(free[:16, :16]) < 1e-9
    assert free[0, 0] == pytest.approx(target[:16, :16].mean())


def test_equals_a_dense_solution():
    """The solver gives what dense matrices of the paper's equations give on a small image."""
    rng = np.random.default_rng(2)
    image = np.kron(rng.integers(60, 160, (3, 4, 1)), np.ones((4, 4, 3))).astype(np.uint8)
    target = rng.random((12, 16))
    sigmas = np.array([3, 3, 20, 30, 30])
    colour = np.asarray(Image.fromarray(image).convert("YCbCr"))
    cells = np.concatenate([np.moveaxis(np.indices((12, 16)), 0, -1), colour], axis=-1) // sigmas
    unique, vertex = np.unique(cells.reshape(-1, 5).astype(int), axis=0, return_inverse=True)
    splat = (np.arange(len(unique))[:, None] == vertex.ravel()).astype(float)
    blur = (np.abs(unique[:, None] - unique).sum(axis=-1) == 1) + 10.0 * np.eye(len(unique))
    pixels = splat.sum(axis=1)
    n = np.ones(len(unique))
    for _ in range(10):
        n = np.sqrt(n * pixels / (blur @ n))
    laplacian = np.diag(n * (blur @ n)) - np.diag(n) @ blur @ np.diag(n)
    system = 2.0 * laplacian + 0.999 * np.diag(pixels)
    expected = splat.T @ np.linalg.solve(system, 0.999 * splat @ target.ravel())
    solved = bilateral_solver(target, image, 3, 20, 30, smoothness=2)
    np.testing.assert_allclose(solved.ravel(), expected, atol=1e-4)


def test_snap_keeps_the_largest_piece_without_holes():
    """Holes are filled, smaller pieces dropped, and a mask that the solver refuses is kept."""
    image = np.zeros((96, 96, 3), np.uint8)
    image[16:64, 16:64], image[76:90, 76:90] = 200, 200
    mask = image[..., 0] > 0
    mask[30:36, 30:36] = False
    snapped = snap(mask, image)
    np.testing.assert_array_equal(snapped, np.pad(np.ones((48, 48), bool), ((16, 32), (16, 32))))
    image = np.zeros((96, 96, 3), np.uint8)
    for start in (0, 32, 64):
        image[start : start + 32, start : start + 32] = 200
    pieces = image[..., 0] > 0
    pieces[0:2] = pieces[64:66] = False
    np.testing.assert_array_equal(snap(pieces, image), pieces)
