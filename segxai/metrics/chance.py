"""Scores of a map on a reference, from what chance gives to the best that a map can have."""

from collections.abc import Callable

import numpy as np

from segxai.metrics.case import Case
from segxai.metrics.overlap import binary
from segxai.metrics.salient import checked


def on_reference(case: Case, score: Callable[[np.ndarray, np.ndarray], float], scale: str) -> float:
    r"""Score a map on its reference, as it is or normalised per image.

    .. math:: \hat s = \frac{s - a}{1 - a}

    where a is the reference's share of the image: the expected score of random and of uniform maps.
    A map at chance has 0, a perfect map 1, whatever the size of the reference.

    Parameters
    ----------
    case : Case
        Its view and reference.
    score : function
        Of a map (H, W), float64, and a reference (H, W), bool, both flat; in 0…1.
    scale : str
        ``raw`` or ``above_chance``.

    Returns
    -------
    float
        NaN without a view or a reference, and above chance where the reference is the whole image.
    """
    if case.view is None or case.reference is None:
        return np.nan
    reference = binary(case.reference, "reference").astype(bool).ravel()
    value, share = score(checked(case.view).ravel(), reference), reference.mean()
    if scale == "raw":
        return float(value)
    return float((value - share) / (1 - share)) if share < 1 else np.nan
