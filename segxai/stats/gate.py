"""The randomisation gate: whether an explainer's maps depend on what the network has learnt."""

from typing import NamedTuple

import numpy as np

from segxai.stats.bootstrap import bootstrap_mean


class Verdict(NamedTuple):
    """Whether a gate is passed, and by which numbers; these are NaN where none is defined."""

    passed: bool
    mean: float  # similarity after randomisation, with its interval
    low: float
    high: float
    bound: float  # of the null: ± this


def randomisation_gate(
    similarity: np.ndarray,
    null: np.ndarray,
    groups: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
) -> Verdict:
    """Judge an explainer by what its maps keep when all weights of the network are drawn anew.

    It passes where the interval of the mean similarity lies inside the band of the null: the maps
    of a random and of the trained network then differ as much as maps of two images do. The band is
    symmetrical, since a map that comes back with its sign reversed does not depend on the weights
    either; maps less alike than those of different images pass. A map that is the same for all
    images has a similarity of 1 and a band up to 1: the end is outside.

    Where the maps of all images resemble each other the band is wide and the gate weak: read it
    with the similarity of two classes. Where nothing is defined the gate is not passed.

    Parameters
    ----------
    similarity, null : ndarray of shape (n,)
        ``randomisation`` and ``randomisation_null`` of each target,
        see :mod:`segxai.metrics.randomisation`; NaN is left out.
    groups, resamples, confidence, seed
        Of :func:`segxai.stats.bootstrap.bootstrap_mean`.

    References
    ----------
    Adebayo et al., NeurIPS 2018, arXiv:1810.03292, for the test; they and Quantus have no null.
    """
    mean, low, high = bootstrap_mean(similarity, groups, resamples, confidence, seed)
    known = np.asarray(null, dtype=np.float64)
    known = known[np.isfinite(known)]
    bound = float(known.mean()) if known.size else np.nan
    return Verdict(bool(-bound < low and high < bound), mean, low, high, bound)
