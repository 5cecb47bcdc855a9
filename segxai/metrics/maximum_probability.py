"""Confidence by the probability of the likeliest outcome."""

import numpy as np

from segxai.stats.selective import label_confidences

ABOUT = {
    "title": "maximum probability", "cites": "arXiv:1610.02136", "family": "confidence",
    "direction": "higher", "range": [0, 1], "reads": ["probabilities"],
    "undefined": "The network gives no probabilities.", "settings": {},
}  # fmt: skip


def measure(case):
    """Maximum probability of the label: :func:`segxai.stats.selective.label_confidences`."""
    if case.probabilities is None:
        return np.nan
    maximum, _ = label_confidences(
        case.probabilities[None], case.thresholds, np.array([case.label])
    )
    return float(maximum[0])
