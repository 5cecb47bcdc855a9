"""Relevance: the magnitude of an attribution, the papers' "original" map."""

from functools import lru_cache

import numpy as np

from segxai.explain.maps import StoredMap
from segxai.views.grey import peak_one

ABOUT = {"title": "Relevance", "cites": "", "reads": [], "settings": {}}


@lru_cache(maxsize=1)  # several views and settings use the same map
def view(stored: StoredMap, shape: tuple[int, int]) -> np.ndarray:
    r"""Sum of the magnitudes of an attribution over its channels.

    .. math:: R = \sum_c |A_c|

    Both signs locate evidence of the network.

    Parameters
    ----------
    stored : StoredMap of shape (h, w)
    shape
        (H, W) of the analysis size, which the sum is resized to bilinearly.

    Returns
    -------
    ndarray of shape (H, W), float32 in 0…1
        Scaled to maximum 1; all zero for an attribution of zeros.
    """
    relevance = peak_one(stored.magnitude, shape)
    relevance.flags.writeable = False
    return relevance
