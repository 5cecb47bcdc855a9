"""Scores of a map on a reference, from what chance gives to the best that a map can have."""

from collections.abc import Callable

import numpy as np

from segxai.metrics.case import Case
from segxai.metrics.overlap import binary
from segxai.metrics.salient import checked


def on_reference(
    case: Case,
    score: Callable[[np.ndarray, np.ndarray], float],
    scale: str,
    bounds: Callable[[float], tuple[float, float]] = lambda share: (share, 1.0),
) -> float:
    r"""Score a map on its reference, as it is or normalised per image.

    .. math:: \hat s = \frac{s - c(a)}{m(a) - c(a)}

    where a is the reference's share of the image; c is the score of a uniform map, and the expected
    one of random maps, and m that of a perfect map: a and 1, unless `bounds` says otherwise. A map
    at chance has 0, a perfect map 1, whatever the size of the reference.

    Parameters
    ----------
    case : Case
        Its view and reference.
    score : function
        Of a map (H, W), float64, and a reference (H, W), bool, both flat; in 0…1.
    scale : str
        ``raw`` or ``above_chance``.
    bounds : function
        Of a to c and m.

    Returns
    -------
    float
        NaN without a view or a reference, and above chance where the reference is the whole image.
    """
    if case.view is None or case.reference is None:
        return np.nan
    reference = binary(case.reference, "reference").astype(bool).ravel()
    value = score(checked(case.view).ravel(), reference)
    if scale == "raw":
        return float(value)
    chance, best = bounds(reference.mean())
    return float((value - chance) / (best - chance)) if best > chance else np.nan


def hits(view: np.ndarray, reference: np.ndarray, n: int) -> float:
    """Number of pixels of a reference (N,) among the n highest of a map (N,).

    Pixels of equal value share the places that they compete for.
    """
    threshold = np.partition(view, -n)[-n]
    above, tied = view > threshold, view == threshold
    share = (n - above.sum()) / tied.sum()
    return reference[above].sum() + share * reference[tied].sum()
