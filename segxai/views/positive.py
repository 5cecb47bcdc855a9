"""Positive part of an attribution: evidence for the target."""

import numpy as np

from segxai.explain.maps import StoredMap
from segxai.views.grey import peak_one

ABOUT = {"title": "Positive relevance", "cites": "", "reads": [], "settings": {}}


def view(stored: StoredMap, shape: tuple[int, int]) -> np.ndarray:
    r"""Positive part of the sum of an attribution over its channels.

    .. math:: R = \max\left(0, \sum_c A_c\right)

    Parameters and returns: see :func:`segxai.views.relevance.view`.
    """
    return peak_one(np.maximum(stored.signed, 0), shape)
