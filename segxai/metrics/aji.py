"""Aggregated Jaccard index of single objects."""

import numpy as np

from segxai.metrics.instances import aji, components

ABOUT = {
    "title": "AJI", "cites": "10.1109/TMI.2017.2677499", "family": "instances",
    "direction": "higher", "range": [0, 1], "reads": ["mask", "instances"],
    "undefined": "The image has no true object.", "settings": {},
}  # fmt: skip


def measure(case):
    """AJI of the mask's 4-connected components: see :func:`segxai.metrics.instances.aji`."""
    if case.mask is None or case.instances is None:
        return np.nan
    return aji(components(case.mask), case.instances)
