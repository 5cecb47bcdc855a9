"""Affinity of the tokens of a vision transformer, from their keys."""

import numpy as np


def cosines(features: np.ndarray) -> np.ndarray:
    """Cosine similarities (h·w, h·w) of features (h, w, d), at least float32.

    A feature of zeros has similarity 0 to all.
    """
    tokens = features.reshape(-1, features.shape[2])
    tokens = tokens.astype(np.result_type(tokens, np.float32))
    tokens /= np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    return tokens @ tokens.T


def key_affinity(keys: np.ndarray, power: float) -> np.ndarray:
    r"""All-pairs affinity of tokens by their centred keys.

    .. math:: w_{ij} = \max(0, \cos(k_i, k_j))^p, \quad w_{ii} = 1

    Parameters
    ----------
    keys : ndarray of shape (h, w, d), float
        Centred: their mean over the tokens is zero.
    power
        p > 0; the higher, the fewer neighbours a token has.

    Returns
    -------
    ndarray of shape (h·w, h·w), float64, in 0…1
        Symmetric; a token whose key is zero has no neighbour.
    """
    affinity = (np.clip(cosines(keys), 0, 1) ** power).astype(np.float64)
    np.fill_diagonal(affinity, 1)
    return affinity
