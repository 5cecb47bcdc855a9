"""Spectral clusters of a transformer's keys, those that the relevance map marks."""

import numpy as np

from segxai.segmenters.spectral import spectral_clusters
from segxai.views.affinity import key_affinity
from segxai.views.grey import cells, of_cells

ABOUT = {
    "title": "Clusters of keys",
    "cites": "Shi & Malik, PAMI 22:888, 2000; Damle, Minden & Ying, Inf. Inference 8:181, 2019",
    "reads": ["view", "keys"], "facts": [],
    "settings": {
        "count": {"type": "integer", "minimum": 2, "maximum": 100, "default": 8,
                  "description": "Clusters of an image"},
        "power": {"type": "number", "exclusiveMinimum": 0, "default": 8,
                  "description": "Power of the cosine of two keys: their affinity"},
        "several": {"type": "boolean", "default": True,
                    "description": "Whether the mask may join clusters, or is one of them"},
    },
}  # fmt: skip


def segment(
    grey: np.ndarray, keys: np.ndarray, count: int, power: float, several: bool
) -> np.ndarray:
    """Mask of the tokens' clusters whose relevance stands out: see :func:`most_relevant`.

    Parameters
    ----------
    grey : ndarray of shape (H, W), in 0…1
        A view of the attribution; its mean over the cell of a token is the token's relevance.
    keys : ndarray of shape (h, w, d), float
        Centred.
    count, power, several
        Settings: see `ABOUT`, :func:`segxai.views.affinity.key_affinity`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Empty where the map is constant.
    """
    relevance = cells(grey, keys.shape[:2])
    if np.ptp(relevance) == 0:
        return np.zeros(grey.shape, bool)
    labels = token_clusters(keys, count, power)
    return of_cells(most_relevant(labels, relevance, several), grey.shape)


def token_clusters(keys: np.ndarray, count: int, power: float) -> np.ndarray:
    """Cluster (h, w), int, of each token of keys (h, w, d)."""
    labels = spectral_clusters(key_affinity(keys, power), count)
    return labels.reshape(keys.shape[:2])


def most_relevant(labels: np.ndarray, relevance: np.ndarray, several: bool) -> np.ndarray:
    r"""Cells of the clusters that part a relevance map best, by Otsu's criterion.

    .. math:: \sigma_B^2 = \frac{n_1 n_0}{n^2} (\mu_1 - \mu_0)^2, \quad \mu_1 > \mu_0

    is the variance between the n₁ cells inside and the n₀ outside, of mean relevance μ₁ and μ₀.

    Parameters
    ----------
    labels : ndarray of shape (h, w), int
        Cluster of each cell, from 0 on, none empty.
    relevance : ndarray of shape (h, w)
    several
        Compare all unions of clusters, of which the best one takes the clusters of highest mean
        relevance; else single clusters.

    Returns
    -------
    ndarray of shape (h, w), bool
        Empty for a single cluster.
    """
    sizes = np.bincount(labels.ravel())
    # n₁ (μ₁ − μ): the relevance of a cluster beyond that of as many average cells.
    excess = np.bincount(labels.ravel(), relevance.ravel()) - sizes * relevance.mean()
    order = np.argsort(-excess / sizes, kind="stable")
    inside, excess = sizes[order], excess[order]
    if several:
        inside, excess = inside.cumsum(), excess.cumsum()
    outside = relevance.size - inside
    between = np.maximum(excess, 0) ** 2 / (inside * np.maximum(outside, 1)) * (outside > 0)
    best = between.argmax()
    chosen = order[: best + 1] if several else order[best]
    return np.isin(labels, chosen) & (between[best] > 0)
