"""Class sensitivity: how alike an explainer's attributions of two classes are."""

import numpy as np

ABOUT = {
    "title": "similarity of two classes", "cites": "arXiv:1912.09818", "family": "sanity",
    "direction": "lower", "range": [-1, 1], "reads": ["disturbed"],
    "undefined": "The target is a region, the network has one class, a map is constant, or "
                 "the image was not explained again.",
    "settings": {
        "images": {"type": "integer", "minimum": 1, "default": 20,
                   "description": "Images of a study that are explained again; the largest number "
                                  "among such metrics of a network and explainer counts for all"},
    },
}  # fmt: skip


def measure(case, images):
    """Spearman's correlation of the attributions of the target and of another class.

    The other class is the most probable one. An explainer that sees no class has 1.

    Differs from Sixt et al.'s random-logit test, as Quantus has it, in the measure, a rank
    correlation instead of SSIM of flattened maps, and in the class, which is not drawn.

    References
    ----------
    Sixt, Granz & Landgraf, ICML 2020, arXiv:1912.09818.
    """
    return np.nan if case.disturbed is None else case.disturbed.other_class
