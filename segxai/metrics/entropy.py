"""Confidence by normalised entropy: 1 for a certain outcome, 0 where all are equally likely."""

import numpy as np

from segxai.stats.selective import label_confidences

ABOUT = {
    "title": "entropy confidence", "cites": "", "family": "confidence", "direction": "higher",
    "range": [0, 1], "reads": ["probabilities"], "undefined": "The network gives no probabilities.",
    "settings": {},
}  # fmt: skip


def measure(case):
    """Confidence by entropy in the image: :func:`segxai.stats.selective.label_confidences`."""
    if case.probabilities is None:
        return np.nan
    _, entropy = label_confidences(
        case.probabilities[None], case.thresholds, np.array([case.label])
    )
    return float(entropy[0])
