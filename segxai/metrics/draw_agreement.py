"""Agreement of draws: how alike an explainer's attributions are when it draws anew."""

import numpy as np

ABOUT = {
    "title": "agreement of draws", "cites": "", "family": "robustness",
    # A map that draws nothing has 1.
    "direction": "none", "range": [-1, 1], "reads": ["disturbed"],
    "undefined": "An attribution is constant, or was not made again.",
    "settings": {
        "images": {"type": "integer", "minimum": 1, "default": 20,
                   "description": "Images of a study that are explained again; the largest number "
                                  "among such metrics of a network and explainer counts for all"},
    },
}  # fmt: skip


def measure(case, images):
    """Spearman's correlation with the attribution of the same network with other random draws.

    Noise, masks, orders and background images are drawn by another seed. 1 for explainers that draw
    nothing. More agreement than this cannot be expected of networks of different seeds, whose
    explainers draw anew as well: see :mod:`segxai.metrics.seed_agreement`.
    """
    return np.nan if case.disturbed is None else case.disturbed.other_draws
