"""Otsu's threshold on a relevance map."""

import numpy as np

from segxai.views.grey import above_otsu

ABOUT = {
    "title": "Otsu", "cites": "Otsu, IEEE Trans. SMC 9:62, 1979",
    "reads": ["view"], "facts": [], "settings": {},
}  # fmt: skip


def segment(grey: np.ndarray) -> np.ndarray:
    """Pixels of a view (H, W) above Otsu's threshold, (H, W) bool; none where it is constant."""
    return above_otsu(grey)
