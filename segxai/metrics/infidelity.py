"""Scaled infidelity: share of a score's falls that an attribution's sums leave unexplained."""

import numpy as np

from segxai.metrics.squares import DRAWS, sums

ABOUT = {
    "title": "scaled infidelity", "cites": "arXiv:1901.09392", "family": "faithfulness",
    "direction": "lower", "range": [0, 1], "reads": ["attribution", "responses"],
    "undefined": "The score never changes.",
    "settings": {
        "fill": {"enum": ["blur", "black"], "default": "blur",
                 "description": "What takes the place of removed squares"},
    },
}  # fmt: skip


def measure(case, fill):
    r"""Share of the variance of the falls that the best multiple of the sums leaves unexplained.

    .. math:: \min_{\beta \ge 0, \alpha}
              \frac{\sum_S (\alpha_{|S|} + \beta s_S - \Delta_S)^2}
                   {\sum_S (\Delta_S - \bar\Delta_{|S|})^2}, \quad
              s_S = \sum_{i \in S} A_i, \ \Delta_S = F(x) - F(x_{S \to b})

    over the sets of :func:`segxai.metrics.squares.square_sets`, which remove several squares at
    once. Differs from the original in β, which makes it independent of the attribution's scale, and
    in α: an intercept for each size of set. Without it any positive map would explain that more is
    lost where more is removed, and random blobs would beat LRP. An attribution of zeros, a uniform
    one, and one whose sums run against the falls have 1.

    References
    ----------
    Yeh et al., NeurIPS 2019, arXiv:1901.09392.
    """
    response = (case.responses or {}).get(fill)
    if response is None or case.attribution is None:
        return np.nan
    totals = sums(case.attribution, response.removed).reshape(-1, DRAWS)
    falls = response.falls.astype(np.float64).reshape(-1, DRAWS)
    totals, falls = ((x - x.mean(axis=1, keepdims=True)).ravel() for x in (totals, falls))
    size, agreement = falls @ falls, max(totals @ falls, 0.0)
    if size == 0:
        return np.nan
    explained = agreement**2 / (size * (totals @ totals)) if agreement > 0 else 0.0
    return float(np.clip(1 - explained, 0, 1))
