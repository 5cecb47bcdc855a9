"""First principal component of a map of features."""

import numpy as np
import scipy.linalg


def first_component(features: np.ndarray) -> np.ndarray:
    """First principal component of features (h, w, d) over their tokens, rescaled to 0…1.

    Its sign is arbitrary; :func:`segxai.views.fused.fuse` chooses it.
    """
    h, w, d = features.shape
    tokens = features.reshape(h * w, d).astype(np.float64)
    tokens -= tokens.mean(axis=0)
    _, vectors = scipy.linalg.eigh(tokens.T @ tokens, subset_by_index=(d - 1, d - 1))
    component = (tokens @ vectors[:, 0]).reshape(h, w)
    span = np.ptp(component)
    return (component - component.min()) / span if span > 0 else np.zeros_like(component)
