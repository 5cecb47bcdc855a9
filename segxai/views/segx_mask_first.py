"""SegX in the other order: the part of a thresholded map that lies in the segmentation."""

import numpy as np

from segxai.explain.maps import StoredMap
from segxai.metrics.overlap import binary
from segxai.views import relevance

ABOUT = {
    "title": "SegX, threshold first",
    "cites": "Zhang, Zhu & Luo, SegX: Improving Interpretability of Clinical Image Diagnosis with "
             "Segmentation-based Enhancement, 2025",
    "reads": ["segmentation"], "settings": {},
}  # fmt: skip


def view(
    stored: StoredMap, shape: tuple[int, int], *, segmentation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Threshold relevance first, then intersect it with a segmentation (SegX eq. 6).

    Parameters and errors: see :func:`segxai.views.segx.view`.

    Returns
    -------
    map : ndarray of shape (H, W), float32 in 0…1
        The unchanged relevance.
    within : ndarray of shape (H, W), bool
        The segmentation that each thresholded map is intersected with.
    """
    return relevance.view(stored, shape), binary(segmentation, "segmentation")
