"""Normalized Cut of the cells of a relevance map into foreground and background."""

import numpy as np

from segxai.segmenters.spectral import normalized_cut
from segxai.views.grey import cells, of_cells

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
        "radius": {
            "type": ["number", "null"], "exclusiveMinimum": 0, "default": None,
            "description": "Distance up to which cells are joined, as a fraction of the side; null "
                           "joins all pairs",
        },
    },
}  # fmt: skip


def segment(
    grey: np.ndarray,
    grid: int,
    sigma_relevance: float,
    sigma_distance: float | None,
    radius: float | None,
) -> np.ndarray:
    """Mask from a relevance map by spectral bipartition of its cells (ExplainSeg §3.5).

    The eigenvector is split at its mean; the side of higher mean relevance is the foreground.

    Differs from the paper's wording in the nodes: grid × grid cells and not every pixel, since the
    all-pairs graph of 224² pixels has 2.5·10⁹ edges.

    Parameters
    ----------
    grey : ndarray of shape (H, W), in 0…1
        A view of the attribution.
    grid, sigma_relevance, …
        Settings: see `ABOUT` and :func:`relevance_affinity`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Empty where the map is constant.
    """
    relevance = cells(grey, (grid, grid))
    if np.ptp(relevance) == 0:
        return np.zeros(grey.shape, bool)
    affinity = relevance_affinity(relevance, sigma_relevance, sigma_distance, radius)
    vector, _ = normalized_cut(affinity)
    side = (vector > vector.mean()).reshape(relevance.shape)
    if relevance[side].mean() < relevance[~side].mean():
        side = ~side
    return of_cells(side, grey.shape)


def relevance_affinity(
    relevance: np.ndarray,
    sigma_relevance: float,
    sigma_distance: float | None,
    radius: float | None,
) -> np.ndarray:
    r"""Affinity of the cells of a relevance map: of all pairs, or of neighbours (a local graph).

    .. math:: w_{ij} = \exp\left(-\frac{(r_i - r_j)^2}{\sigma_r^2}
                       - \frac{\|p_i - p_j\|^2}{\sigma_x^2}\right)
              \quad \text{where} \quad \|p_i - p_j\| \le \rho

    Parameters
    ----------
    relevance : ndarray of shape (h, w)
    sigma_relevance
        σ_r as a fraction of the range of `relevance`.
    sigma_distance
        σ_x as a fraction of the longer side; None drops the spatial term.
    radius
        ρ as a fraction of the longer side, but at least one cell; None joins all pairs.

    Returns
    -------
    ndarray of shape (h·w, h·w), float64
    """
    r = relevance.ravel() / (np.ptp(relevance) * sigma_relevance)
    exponent = r[:, None] - r
    exponent *= exponent
    longer = max(relevance.shape)
    y, x = ((np.arange(side)[:, None] - np.arange(side)) ** 2 for side in relevance.shape)
    squared = (y[:, None, :, None] + x[:, None, :]).reshape(exponent.shape)
    if sigma_distance is not None:
        exponent += squared / (longer * sigma_distance) ** 2
    affinity = np.exp(np.negative(exponent, out=exponent), out=exponent)
    if radius is not None:
        affinity[squared > max(longer * radius, 1) ** 2] = 0
    return affinity
