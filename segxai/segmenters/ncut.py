"""Normalized Cut of the cells of a relevance map into foreground and background."""

import numpy as np
from skimage.transform import resize

from segxai.segmenters.spectral import normalized_cut

ABOUT = {
    "title": "Normalized Cut", "cites": "Shi & Malik, PAMI 22:888, 2000; ExplainSeg §3.5, eqs. 2–4",
    "reads": ["view"], "facts": [],
    "settings": {
        "grid": {"type": "integer", "minimum": 2, "maximum": 100, "default": 28,
                 "description": "Cells per side"},
        "sigma_relevance": {
            "type": "number", "exclusiveMinimum": 0, "default": 0.3,
            "description": "Scale of relevance differences as a fraction of their range",
        },
        "sigma_distance": {
            "type": ["number", "null"], "exclusiveMinimum": 0, "default": None,
            "description": "Scale of distances as a fraction of the side; null drops the term",
        },
    },
}  # fmt: skip


def segment(
    grey: np.ndarray, grid: int, sigma_relevance: float, sigma_distance: float | None
) -> np.ndarray:
    """Mask from a relevance map by spectral bipartition of its cells (ExplainSeg §3.5).

    The eigenvector is split at its mean; the side of higher mean relevance is the foreground.

    Differs from the paper's wording in the nodes: grid × grid cells and not every pixel, since the
    all-pairs graph of 224² pixels has 2.5·10⁹ edges.

    Parameters
    ----------
    grey : ndarray of shape (H, W), in 0…1
        A view of the attribution.
    grid, sigma_relevance, sigma_distance
        Settings: see `ABOUT` and :func:`relevance_affinity`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Empty where the map is constant.
    """
    cells = resize(grey, (grid, grid), order=1, anti_aliasing=True, mode="edge")
    if np.ptp(cells) == 0:
        return np.zeros(grey.shape, bool)
    vector, _ = normalized_cut(relevance_affinity(cells, sigma_relevance, sigma_distance))
    side = (vector > vector.mean()).reshape(cells.shape)
    if cells[side].mean() < cells[~side].mean():
        side = ~side
    return resize(side.astype(float), grey.shape, order=1, mode="edge") > 0.5


def relevance_affinity(
    cells: np.ndarray, sigma_relevance: float, sigma_distance: float | None
) -> np.ndarray:
    r"""All-pairs affinity of the cells of a relevance map.

    .. math:: w_{ij} = \exp\left(-\frac{(r_i - r_j)^2}{\sigma_r^2}
                       - \frac{\|p_i - p_j\|^2}{\sigma_x^2}\right)

    Parameters
    ----------
    cells : ndarray of shape (h, w)
    sigma_relevance
        σ_r as a fraction of the range of `cells`.
    sigma_distance
        σ_x as a fraction of the longer side; None drops the spatial term.

    Returns
    -------
    ndarray of shape (h·w, h·w), float64
    """
    r = cells.ravel() / (np.ptp(cells) * sigma_relevance)
    exponent = r[:, None] - r
    exponent *= exponent
    if sigma_distance is not None:
        axes = (np.arange(side) / (max(cells.shape) * sigma_distance) for side in cells.shape)
        y, x = ((axis[:, None] - axis) ** 2 for axis in axes)
        exponent += (y[:, None, :, None] + x[:, None, :]).reshape(exponent.shape)
    return np.exp(np.negative(exponent, out=exponent), out=exponent)
