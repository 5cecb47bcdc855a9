"""Sensitivity-n: whether an attribution's sums follow how much a score falls without the pixels."""

import numpy as np

from segxai.metrics.squares import DRAWS, sums

ABOUT = {
    "title": "sensitivity-n", "cites": "arXiv:1711.06104", "family": "faithfulness",
    "direction": "higher", "range": [-1, 1], "reads": ["attribution", "responses"],
    "undefined": "The score never changes.",
    "settings": {
        "fill": {"enum": ["blur", "black"], "default": "blur",
                 "description": "What takes the place of removed squares"},
    },
}  # fmt: skip


def measure(case, fill):
    r"""Correlation of sums and falls over sets S of squares, the mean over sizes of sets.

    .. math:: \frac1{|N|} \sum_{n \in N} \operatorname{corr}_{|S| = n}
              \left(\sum_{i \in S} A_i,\ F(x) - F(x_{S \to b})\right)

    Differs from the original in that squares of a grid of 8 × 8 are removed instead of pixels, and
    in four sizes, 10 to 70 % of the image. The sets are drawn without the map, so one set of passes
    serves every explainer. A constant attribution has 0.

    References
    ----------
    Ancona et al., ICLR 2018, arXiv:1711.06104.
    """
    response = (case.responses or {}).get(fill)
    if response is None or case.attribution is None:
        return np.nan
    totals = sums(case.attribution, response.removed).reshape(-1, DRAWS)
    falls = response.falls.astype(np.float64).reshape(-1, DRAWS)
    totals, falls = (x - x.mean(axis=1, keepdims=True) for x in (totals, falls))
    spread = np.sqrt((falls**2).sum(axis=1) * (totals**2).sum(axis=1))
    moved = (falls**2).sum(axis=1) > 0
    if not moved.any():
        return np.nan
    products = (totals * falls).sum(axis=1)
    return float(np.where(spread > 0, products / np.where(spread > 0, spread, 1), 0)[moved].mean())
