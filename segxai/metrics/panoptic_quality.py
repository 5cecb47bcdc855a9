"""Panoptic quality of single objects, its two factors, and the number of objects."""

import numpy as np

from segxai.metrics.instances import components, panoptic_quality

ABOUT = {
    "title": "panoptic quality", "cites": "arXiv:1801.00868", "family": "instances",
    "direction": "higher", "range": [0, 1], "reads": ["mask", "instances"],
    "undefined": "The image has no true object.",
    "names": ["pq", "sq", "dq"], "settings": {},
}  # fmt: skip


def measure(case):
    """PQ, SQ and DQ of the mask's 4-connected components.

    See :func:`segxai.metrics.instances.panoptic_quality`.
    """
    scores = (np.nan,) * 3
    if case.mask is not None and case.instances is not None:
        scores = panoptic_quality(components(case.mask), case.instances)
    return dict(zip(("pq", "sq", "dq"), scores, strict=True))
