"""Max-sensitivity: how far an attribution moves when noise that nobody sees is added."""

import numpy as np

ABOUT = {
    "title": "max-sensitivity", "cites": "arXiv:1901.09392", "family": "robustness",
    "direction": "lower", "range": [0, None], "reads": ["disturbed"],
    "undefined": "The attribution is zero, or was not made again.",
    "settings": {
        "images": {"type": "integer", "minimum": 1, "default": 20,
                   "description": "Images of a study that are explained again; the largest number "
                                  "among such metrics of a network and explainer counts for all"},
    },
}  # fmt: skip


def measure(case, images):
    r"""Largest relative change of the attribution A among noisy copies of the input.

    .. math:: \max_k \frac{\| A(x + \epsilon_k) - A(x) \|}{\| A(x) \|}, \quad
              \epsilon_{ki} \sim U(-r, r)

    of 5 copies, r being 2 grey levels, see :func:`segxai.explain.disturbed.noisy`. A column of
    tables and never a rank: a constant attribution has 0, the best value, and explains nothing.

    Differs from Captum and Quantus in r, which they give in units of the normalised input (0.02
    and 0.2), in the attribution, which is its sum over channels here, and in the explainer's own
    draws: they are the same for all copies, so that their noise is not counted as instability.

    References
    ----------
    Yeh et al., NeurIPS 2019, arXiv:1901.09392.
    """
    return np.nan if case.disturbed is None else float(case.disturbed.noise.max())
