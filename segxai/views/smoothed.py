"""Smoothed relevance: the grey map from which ExplainSeg cuts masks."""

import numpy as np

from segxai.explain.maps import StoredMap
from segxai.views import relevance
from segxai.views.grey import smooth

ABOUT = {
    "title": "Smoothed relevance", "cites": "", "reads": [],
    "settings": {
        "clip_percentile": {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "default": 99,
                            "description": "Percentile at which the map is clipped"},
        "sigma": {"type": "number", "minimum": 0, "default": 8,
                  "description": "Gaussian smoothing in px at 224"},
    },
}  # fmt: skip


def view(
    stored: StoredMap, shape: tuple[int, int], *, clip_percentile: float, sigma: float
) -> np.ndarray:
    """Relevance, clipped, smoothed and scaled to 0…1: see :func:`segxai.views.grey.smooth`."""
    return smooth(relevance.view(stored, shape), clip_percentile, sigma)
