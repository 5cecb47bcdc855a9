"""Gini index: how few pixels hold a map."""

import numpy as np

from segxai.metrics.salient import checked

ABOUT = {
    "title": "Gini index", "cites": "arXiv:0811.4706; arXiv:1810.06583", "family": "complexity",
    "direction": "none", "range": [0, 1], "reads": ["view"],
    "undefined": "The map is zero everywhere.", "settings": {},
}  # fmt: skip


def measure(case):
    r"""Gini index of the map's values, in 0…1 − 1/N.

    .. math:: G = \frac{\sum_{i=1}^N (2i - N - 1) v_{(i)}}{N \sum_i v_i}

    with the values in ascending order: 0 for a uniform map, 1/3 for uniform noise, 1 − 1/N for one
    pixel. It depends on the map's resolution and blur, so it describes and ranks nothing.

    References
    ----------
    Hurley & Rickard, IEEE Trans. Inf. Theory 55:4723, 2009, arXiv:0811.4706.
    """
    if case.view is None:
        return np.nan
    values = np.sort(checked(case.view).ravel())
    n, total = values.size, values.sum()
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return float(ranks @ values / (n * total)) if total > 0 else np.nan
