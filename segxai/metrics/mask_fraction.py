"""Share of the image that a mask covers."""

import numpy as np

ABOUT = {
    "title": "mask area", "cites": "", "family": "size", "direction": "none", "range": [0, 1],
    "reads": ["mask"], "undefined": "There is no mask.", "settings": {},
}  # fmt: skip


def measure(case):
    """Share of the image's pixels in the mask."""
    return np.nan if case.mask is None else float(np.mean(case.mask))
