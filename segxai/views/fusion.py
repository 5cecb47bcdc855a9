"""Fusion of relevance and feature maps (ExplainSeg §3.5)."""

import numpy as np
from skimage.transform import resize

from segxai.views.grey import unit_range


def fuse(relevance: np.ndarray, component: np.ndarray) -> np.ndarray:
    """Weight a relevance map by a feature map: both scaled to 0…1 and multiplied.

    Parameters
    ----------
    relevance : ndarray of shape (H, W), ≥ 0
        Smoothed relevance.
    component : ndarray of shape (h, w)
        First principal component of the ViT's keys, of arbitrary sign. The sign is taken that
        makes its mean over the top tenth of the relevance exceed its mean elsewhere.

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
