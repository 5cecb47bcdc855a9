"""Probability that the network gives the explained class."""

import numpy as np

ABOUT = {
    "title": "probability", "cites": "", "family": "confidence", "direction": "none",
    "range": [0, 1], "reads": ["probabilities"], "undefined": "The network gives no probabilities.",
    "settings": {},
}  # fmt: skip


def measure(case):
    """Probability of the explained class, in 0…1."""
    return np.nan if case.probabilities is None else float(case.probabilities[case.label])
