"""Fusion: smoothed relevance weighted by the features of the network (ExplainSeg §3.5)."""

import numpy as np
from skimage.transform import resize

from segxai.explain.maps import StoredMap
from segxai.views import smoothed
from segxai.views.components import first_component
from segxai.views.grey import unit_range

ABOUT = {
    "title": "Smoothed relevance × features", "cites": "", "reads": ["keys"],
    "settings": {
        "clip_percentile": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "default": 99,
                            "description": "Percentile at which the map is clipped"},
        "sigma": {"type": "number", "minimum": 0, "default": 8,
                  "description": "Gaussian smoothing in px at 224"},
    },
}  # fmt: skip


def view(
    stored: StoredMap,
    shape: tuple[int, int],
    *,
    keys: np.ndarray,
    clip_percentile: float,
    sigma: float,
) -> np.ndarray:
    """Smoothed relevance (`segxai.views.smoothed`) weighted by a feature map: see :func:`fuse`.

    The feature map is the first principal component of the `keys` (h, w, d).
    """
    grey = smoothed.view(stored, shape, clip_percentile=clip_percentile, sigma=sigma)
    return fuse(grey, first_component(keys))


def fuse(relevance: np.ndarray, component: np.ndarray) -> np.ndarray:
    """Weight a relevance map by a feature map: both scaled to 0…1 and multiplied.

    Parameters
    ----------
    relevance : ndarray of shape (H, W), ≥ 0
        Smoothed relevance.
    component : ndarray of shape (h, w)
        First principal component of the ViT's keys, of arbitrary sign. Its sign is chosen so that
        the mean over the top tenth of the relevance exceeds the mean elsewhere.

    Returns
    -------
    ndarray of shape (H, W), float64 in 0…1
    """
    features = unit_range(
        resize(component.astype(np.float64), relevance.shape, order=1, mode="edge")
    )
    top = relevance >= np.quantile(relevance, 0.9)
    if not top.all() and features[top].mean() < features[~top].mean():
        features = 1 - features
    return unit_range(relevance) * features
