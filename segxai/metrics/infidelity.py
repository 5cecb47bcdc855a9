"""Scaled infidelity: the share of a score's falls that an attribution's sums leave unexplained."""

import numpy as np

from segxai.metrics.squares import sums

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
    r"""Least squared error of the sums, relative to the squared falls.

    .. math:: \min_\beta \frac{\sum_S (\beta s_S - \Delta_S)^2}{\sum_S \Delta_S^2}
              = 1 - \frac{(\sum_S s_S \Delta_S)^2}{\sum_S s_S^2 \sum_S \Delta_S^2}, \quad
              s_S = \sum_{i \in S} A_i, \ \Delta_S = F(x) - F(x_{S \to b})

    The best factor β makes it independent of the attribution's scale, and an attribution of zeros
    has 1. Differs from the original in this factor, and in the perturbation, which is its removal
    of squares, here several at once: the sets of :func:`segxai.metrics.squares.square_sets`. A
    negative β counts as 0: sums that run against the falls explain nothing.

    References
    ----------
    Yeh et al., NeurIPS 2019, arXiv:1901.09392.
    """
    response = (case.responses or {}).get(fill)
    if response is None or case.attribution is None:
        return np.nan
    totals, falls = sums(case.attribution, response.removed), response.falls.astype(np.float64)
    size, agreement = falls @ falls, max(totals @ falls, 0.0)
    if size == 0:
        return np.nan
    explained = agreement**2 / (size * (totals @ totals)) if agreement > 0 else 0.0
    return float(np.clip(1 - explained, 0, 1))
