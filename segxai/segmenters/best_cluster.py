"""Upper bound of clusters: those of a transformer's keys that fit the true mask best."""

import numpy as np

from segxai.segmenters.clusters import token_clusters
from segxai.views.grey import cells, of_cells

ABOUT = {
    "title": "Best cluster by the truth", "cites": "",
    "reads": ["view", "keys", "truth"], "facts": [],
    "settings": {
        "count": {"type": "integer", "minimum": 2, "maximum": 100, "default": 8,
                  "description": "Clusters of an image"},
        "power": {"type": "number", "exclusiveMinimum": 0, "default": 8,
                  "description": "Power of the cosine of two keys: their affinity"},
        "several": {"type": "boolean", "default": False,
                    "description": "Whether the mask may join clusters, or is one of them"},
    },
}  # fmt: skip


def segment(
    grey: np.ndarray,
    keys: np.ndarray,
    truth: np.ndarray | None,
    count: int,
    power: float,
    several: bool,
) -> np.ndarray:
    """Mask of the tokens' clusters with the highest Dice: it sees the true mask.

    No choice among the same clusters of :mod:`segxai.segmenters.clusters` has a higher Dice with
    the cells' shares of the true mask, whatever map it follows. A union is best if it takes the
    clusters whose share is highest, since Dice is a ratio of sums over clusters.

    Parameters
    ----------
    grey : ndarray of shape (H, W)
        Not used, except for its shape.
    keys : ndarray of shape (h, w, d), float
        Centred.
    truth : ndarray of shape (H, W), bool or 0/1, or None
        None where the outline is unknown.
    count, power, several
        Settings: see `ABOUT`.

    Returns
    -------
    ndarray of shape (H, W), bool
        Empty where the true mask is empty or unknown.
    """
    if truth is None or not truth.any():
        return np.zeros(grey.shape, bool)
    labels = token_clusters(keys, count, power)
    share = cells(truth.astype(float), labels.shape)
    sizes, true = np.bincount(labels.ravel()), np.bincount(labels.ravel(), share.ravel())
    order = np.argsort(-true / sizes, kind="stable")
    marked, hit = sizes[order], true[order]
    if several:
        marked, hit = marked.cumsum(), hit.cumsum()
    best = (2 * hit / (marked + share.sum())).argmax()
    chosen = order[: best + 1] if several else order[best]
    return of_cells(np.isin(labels, chosen), grey.shape)
