"""Completeness error: how far an attribution's sum is from what its method promises."""

import numpy as np

ABOUT = {
    "title": "completeness error", "cites": "arXiv:1703.01365", "family": "axioms",
    "direction": "lower", "range": [0, None], "reads": ["facts"],
    "undefined": "The method promises no sum, or the promised sum is 0.", "settings": {},
}  # fmt: skip


def measure(case):
    r"""Relative error of the sum, :math:`|\sum_i A_i - g| / |g|`, as it was explained.

    g is the gain that the method promises: F(x) − F(x′) of path and Shapley methods, F(x) of LRP.
    See :func:`segxai.explain.stream.completeness_error`.
    """
    return np.nan if case.facts is None else float(case.facts["completeness_error"])
