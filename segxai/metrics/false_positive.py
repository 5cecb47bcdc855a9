"""Whether a mask marks anything in an image without a finding."""

import numpy as np

ABOUT = {
    "title": "false positive", "cites": "", "family": "absence", "direction": "lower",
    "range": [0, 1], "reads": ["mask", "reference", "absence"],
    "undefined": "The reference is unknown or not empty.", "settings": {},
}  # fmt: skip


def measure(case):
    """1 if the mask of an image without a finding holds any pixel, else 0; the mean is a share.

    NaN for an image with a finding.
    """
    if case.mask is None or case.reference is None or np.any(case.reference):
        return np.nan
    return float(np.any(case.mask))
