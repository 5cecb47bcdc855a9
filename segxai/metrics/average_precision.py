"""Average precision of a map as a ranking of the pixels of a reference."""

import numpy as np

from segxai.metrics.chance import on_reference

ABOUT = {
    "title": "average precision", "cites": "scikit-learn, average_precision_score",
    "family": "localisation",
    "direction": "higher", "range": [None, 1], "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "scale": {"enum": ["raw", "above_chance"], "default": "raw",
                  "description": "As it is, or 0 at chance and 1 at best"},
    },
}  # fmt: skip


def measure(case, scale):
    r"""Area under precision and recall of the pixels, ranked by the map.

    .. math:: AP = \sum_n (R_n - R_{n-1}) P_n

    over the map's distinct values, so pixels of equal value enter together, as scikit-learn has it;
    a constant map has the chance level. See :func:`segxai.metrics.chance.on_reference`.
    """
    return on_reference(case, _precision, scale)


def _precision(view, reference):
    order = np.argsort(-view, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(view[order])), len(view) - 1)
    hits = np.cumsum(reference[order])[ends]
    return np.sum(np.diff(hits, prepend=0) * hits / (ends + 1)) / hits[-1]
