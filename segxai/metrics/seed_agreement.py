"""Agreement of seeds: how alike networks that were trained with other seeds are explained."""

import numpy as np

from segxai.metrics.similarity import similarity

ABOUT = {
    "title": "agreement of seeds", "cites": "", "family": "robustness",
    # A map that does not depend on the network has 1.
    "direction": "none", "range": [-1, 1], "reads": ["attribution", "other_seeds"],
    "undefined": "An attribution is constant, or no network of another seed predicts the target.",
    "names": ["seed_agreement", "prediction_agreement"], "settings": {},
}  # fmt: skip


def measure(case):
    r"""Agreement of the attributions, and of the predictions, of one target over seeds.

    .. math:: \frac{1}{|T|} \sum_{t \in T} \rho(A_s, A_t), \quad \frac{|T|}{S - 1}

    with Spearman's correlation ρ of the pixels of two attributions, of the seed s and of each
    other seed t whose network predicts the target: T of S − 1. Pairs with a constant attribution
    are left out. The mean over the targets of all seeds is that over pairs of seeds. A column of
    tables and never a rank: a control that sees no network agrees best.
    """
    if case.attribution is None or case.other_seeds is None:
        return dict.fromkeys(ABOUT["names"], np.nan)
    made = [other for other in case.other_seeds if other is not None]
    alike = np.array([similarity(case.attribution, other) for other in made])
    known = alike[~np.isnan(alike)]
    values = known.mean() if len(known) else np.nan, len(made) / len(case.other_seeds)
    return dict(zip(ABOUT["names"], map(float, values), strict=True))
