"""Share of a map's relevance that lies on a reference: relevance mass accuracy."""

import numpy as np

from segxai.metrics.salient import share_on

ABOUT = {
    "title": "relevance mass", "cites": "arXiv:2003.07258", "family": "localisation",
    "direction": "higher", "range": [0, 1], "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.", "settings": {},
}  # fmt: skip


def measure(case):
    """Sum of the map on the reference, divided by its sum: :func:`segxai.metrics.salient.share_on`.

    References
    ----------
    Arras, Osman & Samek, Information Fusion 81:14, 2022, arXiv:2003.07258.
    """
    if case.view is None or case.reference is None:
        return np.nan
    return share_on(case.view, case.reference)
