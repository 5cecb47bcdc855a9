"""Dice coefficient of a mask and a reference."""

import numpy as np

from segxai.metrics.overlap import dice

ABOUT = {
    "title": "Dice", "cites": "", "family": "overlap", "direction": "higher", "range": [0, 1],
    "reads": ["mask", "reference"],
    "undefined": "The reference is empty or unknown.", "settings": {},
}  # fmt: skip


def measure(case):
    """Dice coefficient of the mask and the reference: :func:`segxai.metrics.overlap.dice`."""
    if case.mask is None or case.reference is None:
        return np.nan
    return float(dice(case.mask, case.reference))
