"""IoU of a mask with a reference."""

import numpy as np

from segxai.metrics.overlap import iou

ABOUT = {
    "title": "IoU", "cites": "", "family": "overlap", "direction": "higher", "range": [0, 1],
    "reads": ["mask", "reference"],
    "undefined": "The reference is empty or unknown.", "settings": {},
}  # fmt: skip


def measure(case):
    """IoU of the mask with the reference: see :func:`segxai.metrics.overlap.iou`."""
    if case.mask is None or case.reference is None:
        return np.nan
    return float(iou(case.mask, case.reference))
