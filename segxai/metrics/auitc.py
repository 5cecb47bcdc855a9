"""Area under the IoU–threshold curve: AUITC of SegX, c_AUITC of SegU."""

import numpy as np

from segxai.metrics.overlap import binary
from segxai.metrics.salient import checked
from segxai.views.grey import unit_range

ABOUT = {
    "title": "AUITC", "cites": "Zhang, Zhu & Luo, SegX, 2025, eqs. 10 and 12",
    "family": "localisation", "direction": "higher", "range": [0, 1],
    "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "axis": {"enum": ["value", "quantile"], "default": "value",
                 "description": "Thresholds at equal steps of the map's values, or of its ranks"},
        "thresholds": {"type": "integer", "minimum": 1, "default": 100,
                       "description": "Number of thresholds"},
    },
}  # fmt: skip


def measure(case, axis, thresholds):
    r"""Area under the IoU–threshold curve, AUITC (eq. 12) and c_AUITC (eq. 10).

    .. math:: \int_0^1 \mathrm{IoU}(R, \{m > \tau\})\, d\tau
              \approx \frac1n \sum_{i=0}^{n-1} \mathrm{IoU}(R, \{m > \tau_i\})

    Parameters
    ----------
    case : Case
        Its view m; its reference R, the ground truth for AUITC and the predicted segmentation for
        c_AUITC; and within, the mask that each thresholded map is intersected with.
    axis : str
        An open choice of the paper. ``"value"``: τᵢ are the midpoints (i + ½)/n of the map scaled
        to 0…1. ``"quantile"``: τᵢ are the map's quantiles at these midpoints, so that only the
        ranks of the map count.
    thresholds : int
        n.

    Returns
    -------
    float in 0…1
        0 where the map is constant, or a predicted segmentation empty.

    Raises
    ------
    ValueError
        If the shapes differ, the map is not finite, or the axis is another.
    """
    if case.view is None or case.reference is None:
        return np.nan
    saliency, reference = checked(case.view), binary(case.reference, "reference")
    explained = np.ones_like(reference) if case.within is None else binary(case.within, "within")
    if not saliency.shape == reference.shape == explained.shape:
        shapes = f"{saliency.shape}, {reference.shape} and {explained.shape}"
        raise ValueError(f"map, reference and mask must have one shape, not {shapes}.")
    odd = 2 * np.arange(thresholds) + 1
    if axis == "value":
        saliency, levels = unit_range(saliency), odd / (2 * thresholds)
    elif axis == "quantile":
        # The smallest value that at least a share odd/2n of the pixels does not exceed.
        levels = np.sort(saliency, axis=None)[(odd * saliency.size - 1) // (2 * thresholds)]
    else:
        raise ValueError(f"axis must be 'value' or 'quantile', got {axis!r}.")
    marked = _count_above(saliency[explained], levels)
    shared = _count_above(saliency[explained & reference], levels)
    union = reference.sum() + marked - shared
    return float(np.mean(shared / np.maximum(union, 1)))


def _count_above(values: np.ndarray, levels: np.ndarray) -> np.ndarray:
    return len(values) - np.searchsorted(np.sort(values), levels, side="right")
