"""SegX: an explanation confined to a segmentation (map first: refine, then threshold)."""

import numpy as np

from segxai.explain.maps import StoredMap
from segxai.metrics.overlap import binary
from segxai.views import relevance

ABOUT = {
    "title": "SegX",
    "cites": "Zhang, Zhu & Luo, SegX: Improving Interpretability of Clinical Image Diagnosis with "
             "Segmentation-based Enhancement, 2025",
    "reads": ["segmentation"], "settings": {},
}  # fmt: skip


def view(stored: StoredMap, shape: tuple[int, int], *, segmentation: np.ndarray) -> np.ndarray:
    r"""Refine relevance by a segmentation (SegX eq. 7, and the official code).

    .. math:: m_{\mathrm{SegX}} = m_{\mathrm{seg}} \cdot m_{\mathrm{XAI}}

    Parameters
    ----------
    stored : StoredMap of shape (h, w)
    shape
        (H, W) of the analysis size.
    segmentation : ndarray of shape (H, W), bool or 0/1

    Returns
    -------
    ndarray of shape (H, W), float32 in 0…1
        All zero where the segmentation is empty. Its lowest value is no saliency, so that nothing
        outside the segmentation is part of the explanation.

    Raises
    ------
    ValueError
        If the segmentation is not a mask, or not of that shape.
    """
    return relevance.view(stored, shape) * binary(segmentation, "segmentation")
