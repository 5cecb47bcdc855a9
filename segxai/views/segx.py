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

    Parameters and returns: see :func:`segxai.views.relevance.view`, with a segmentation (H, W) of 0
    and 1. The lowest value of a map does not count as saliency, so that nothing outside the
    segmentation is part of the explanation.
    """
    return relevance.view(stored, shape) * binary(segmentation, "segmentation")
