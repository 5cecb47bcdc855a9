"""Randomisation: what an attribution keeps when the network's weights are drawn anew."""

import numpy as np

from segxai.metrics.disturbance import STAGES

ABOUT = {
    "title": "similarity after randomisation", "cites": "arXiv:1810.03292", "family": "sanity",
    # Neither does a lower value rank, nor is the null a score.
    "direction": "none", "range": [-1, 1], "reads": ["disturbed"],
    "undefined": "An attribution is constant, or was not made again.",
    "names": ["randomisation", "randomisation_1", "randomisation_2", "randomisation_3",
              "randomisation_4", "randomisation_null"],
    "settings": {
        "images": {"type": "integer", "minimum": 1, "default": 20,
                   "description": "Images of a study that are explained again; the largest number "
                                  "among such metrics of a network and explainer counts for all"},
    },
}  # fmt: skip


def measure(case, images):
    """Spearman's correlation with the attribution of the network whose weights are drawn anew.

    ``randomisation`` is that of a wholly random network, ``randomisation_1`` … ``_4`` those after
    the first stages from the output, see :func:`segxai.explain.disturbed.stages`.
    ``randomisation_null`` is what 95 % of the absolute correlations with attributions of other
    images do not exceed. Read by :func:`segxai.stats.gate.randomisation_gate`: a gate and no rank,
    since noise passes it best.

    Differs from Adebayo et al. in the number of stages, five instead of every layer, in what is
    drawn anew, every parameter, and in the statistics of batch norm, which are taken again.

    References
    ----------
    Adebayo et al., NeurIPS 2018, arXiv:1810.03292; Binder et al., CVPR 2023, arXiv:2211.12486.
    """
    stages, null = np.full(STAGES, np.nan), np.nan
    if case.disturbed is not None:
        stages, null = case.disturbed.stages, case.disturbed.null
    values = [stages[-1], *stages[:-1], null]
    return dict(zip(ABOUT["names"], map(float, values), strict=True))
