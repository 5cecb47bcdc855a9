"""Share of the image that a reference covers."""

import numpy as np

ABOUT = {
    "title": "reference area", "cites": "", "family": "size", "direction": "none", "range": [0, 1],
    "reads": ["reference", "absence"], "undefined": "The reference is unknown.", "settings": {},
}  # fmt: skip


def measure(case):
    """Share of the image's pixels in the reference: 0 where it is empty."""
    return np.nan if case.reference is None else float(np.mean(case.reference))
