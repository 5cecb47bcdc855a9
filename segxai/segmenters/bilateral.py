"""The fast bilateral solver (Barron & Poole, ECCV 2016): a mask snapped to the edges of an image.

Pixels alike in place and colour share a vertex of a sparse five-dimensional grid, and one linear
system over its vertices smooths the mask along, never across, the edges of the image.
"""

import numpy as np
import scipy.sparse as sparse
from PIL import Image
from scipy import ndimage
from scipy.sparse.linalg import cg

from segxai.metrics.overlap import iou

# As the official code: confidence of every pixel, rounds of bistochastisation, solver limits.
CONFIDENCE = 0.999
BISTOCHASTIC_ROUNDS = 10
MAX_ITERATIONS, TOLERANCE = 25, 1e-5


def bilateral_solver(
    target: np.ndarray,
    image: np.ndarray,
    sigma_spatial: float = 16,
    sigma_luma: float = 16,
    sigma_chroma: float = 8,
    smoothness: float = 256,
) -> np.ndarray:
    r"""Smooth a target within the regions of an image (Barron & Poole, eqs. 1, 4 and 7).

    .. math:: \min_x \frac{\lambda}{2} \sum_{i,j} \hat W_{ij} (x_i - x_j)^2
              + \sum_i c (x_i - t_i)^2

    Parameters
    ----------
    target : ndarray of shape (H, W), bool or float
        t.
    image : ndarray of shape (H, W, 3), uint8
    sigma_spatial, sigma_luma, sigma_chroma
        Cells of the grid: in pixels, and in the 0…255 of Y and of Cb and Cr.
    smoothness
        λ.

    Returns
    -------
    ndarray of shape (H, W), float64
        x; about within the range of the target.
    """
    splat, blur = _grid(image, sigma_spatial, sigma_luma, sigma_chroma)
    pixels = splat.sum(axis=1)
    scale = np.ones(len(pixels))
    for _ in range(BISTOCHASTIC_ROUNDS):
        scale = np.sqrt(scale * pixels / (blur @ scale))
    # Rows of the Laplacian sum to zero after however many rounds.
    mass = sparse.diags_array(scale * (blur @ scale))
    scale = sparse.diags_array(scale)
    laplacian = mass - scale @ blur @ scale
    system = smoothness * laplacian + CONFIDENCE * sparse.diags_array(pixels)
    data = CONFIDENCE * (splat @ target.ravel().astype(np.float64))
    jacobi = sparse.diags_array(1 / system.diagonal())
    start = data / (CONFIDENCE * pixels)
    vertices, _ = cg(system, data, start, rtol=TOLERANCE, maxiter=MAX_ITERATIONS, M=jacobi)
    return (splat.T @ vertices).reshape(target.shape)


def snap(mask: np.ndarray, image: np.ndarray, **settings: float) -> np.ndarray:
    """Mask (H, W) bool at the edges of an image: TokenCut's optional finish.

    The solver's output above 0.5 without its holes, its largest component. The mask is returned
    as it was where that agrees with it by an IoU below 0.5; the official code then has none.
    `settings` are those of :func:`bilateral_solver`.
    """
    solved = ndimage.binary_fill_holes(bilateral_solver(mask, image, **settings) > 0.5)
    components, n = ndimage.label(solved)
    if n == 0:
        return mask
    largest = components == 1 + np.bincount(components.ravel())[1:].argmax()
    return largest if iou(largest, mask) >= 0.5 else mask


def _grid(
    image: np.ndarray, sigma_spatial: float, sigma_luma: float, sigma_chroma: float
) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return the grid's splat (vertices, pixels) and its blur (vertices, vertices) by 1 2 1."""
    position = np.moveaxis(np.indices(image.shape[:2]), 0, -1)
    colour = np.asarray(Image.fromarray(image).convert("YCbCr"))
    sigmas = (sigma_spatial, sigma_spatial, sigma_luma, sigma_chroma, sigma_chroma)
    cells = (np.concatenate([position, colour], axis=-1) / sigmas).astype(int).reshape(-1, 5)
    # A margin of one cell, so that no neighbour wraps round into another row.
    shape = cells.max(axis=0) + 3
    keys, vertex = np.unique(np.ravel_multi_index(cells.T + 1, shape), return_inverse=True)
    n, n_pixels = len(keys), len(vertex)
    splat = sparse.csr_array((np.ones(n_pixels), (vertex, np.arange(n_pixels))), (n, n_pixels))
    blur = 2 * len(shape) * sparse.eye_array(n, format="csr")
    for stride in np.cumprod([1, *shape[:0:-1]]):
        here = np.flatnonzero(np.isin(keys + stride, keys))
        there = np.searchsorted(keys, keys[here] + stride)
        step = sparse.csr_array((np.ones(len(here)), (here, there)), (n, n))
        blur = blur + step + step.T
    return splat, blur
