"""Share of the image that a mask marks in an image without a finding."""

import numpy as np

ABOUT = {
    "title": "false-positive area", "cites": "", "family": "absence", "direction": "lower",
    "range": [0, 1], "reads": ["mask", "reference", "absence"],
    "undefined": "The reference is unknown or not empty.", "settings": {},
}  # fmt: skip


def measure(case):
    """Share of the image's pixels in the mask; NaN for an image with a finding."""
    if case.mask is None or case.reference is None or np.any(case.reference):
        return np.nan
    return float(np.mean(case.mask))
