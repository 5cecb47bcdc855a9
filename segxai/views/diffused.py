"""Diffusion: smoothed relevance, spread over tokens whose keys are alike."""

import numpy as np
import scipy.linalg
from skimage.transform import resize

from segxai.explain.maps import StoredMap
from segxai.views import smoothed
from segxai.views.affinity import key_affinity
from segxai.views.grey import cells, unit_range

ABOUT = {
    "title": "Relevance diffused over keys", "cites": "Zhou et al., NIPS 16:321, 2003",
    "reads": ["keys"],
    "settings": {
        "clip_percentile": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "default": 99,
                            "description": "Percentile at which the map is clipped"},
        "sigma": {"type": "number", "minimum": 0, "default": 8,
                  "description": "Gaussian smoothing in px at 224"},
        "power": {"type": "number", "exclusiveMinimum": 0, "default": 8,
                  "description": "Power of the cosine of two keys: their affinity"},
        "alpha": {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "default": 0.9,
                  "description": "Share of a token's relevance that comes from its neighbours"},
    },
}  # fmt: skip


def view(
    stored: StoredMap,
    shape: tuple[int, int],
    *,
    keys: np.ndarray,
    clip_percentile: float,
    sigma: float,
    power: float,
    alpha: float,
) -> np.ndarray:
    """Smoothed relevance (`segxai.views.smoothed`) at the tokens, diffused: see :func:`diffuse`.

    Parameters
    ----------
    keys : ndarray of shape (h, w, d), float
        Centred.

    Returns
    -------
    ndarray of shape (H, W), float64 in 0…1
    """
    grey = smoothed.view(stored, shape, clip_percentile=clip_percentile, sigma=sigma)
    spread = diffuse(cells(grey, keys.shape[:2]), key_affinity(keys, power), alpha)
    return unit_range(resize(spread, shape, order=1, mode="edge"))


def diffuse(relevance: np.ndarray, affinity: np.ndarray, alpha: float) -> np.ndarray:
    r"""Spread relevance over a graph of its cells: label spreading (Zhou et al., §2).

    .. math:: f = (1 - \alpha) (I - \alpha D^{-1} W)^{-1} r

    This is the mean relevance at the end of a random walk that starts at a cell and goes on with
    probability α: r itself for α = 0, and constant if r is.

    Differs from Zhou et al. in the normalisation: their :math:`D^{-1/2} W D^{-1/2}` multiplies f by
    :math:`D^{1/2}` and divides r by it. A constant map would then be large where a cell has many
    neighbours, which is usually the background.

    Parameters
    ----------
    relevance : ndarray of shape (h, w)
        r.
    affinity : ndarray of shape (h·w, h·w)
        W: symmetric, non-negative, every row with a positive sum.
    alpha
        In 0 ≤ α < 1.

    Returns
    -------
    ndarray of shape (h, w), float64, between the extremes of `relevance`
    """
    degree = affinity.sum(axis=1)
    # D (I − α D⁻¹ W) is symmetric and positive definite.
    system = np.diag(degree) - alpha * affinity
    share = (1 - alpha) * degree * relevance.ravel()
    return scipy.linalg.solve(system, share, assume_a="pos").reshape(relevance.shape)
