"""IoU of a map's top fraction with a reference: IoU@5 % of SegX, c_IoU of SegU."""

import numpy as np

from segxai.metrics.overlap import binary, iou
from segxai.metrics.salient import top_fraction

ABOUT = {
    "title": "IoU@fraction", "cites": "Zhang, Zhu & Luo, SegX, 2025, eqs. 9 and 11",
    "family": "localisation", "direction": "higher", "range": [0, 1],
    "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "fraction": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
                     "default": 0.05,
                     "description": "Share of the image's pixels that is taken as the explanation"},
    },
}  # fmt: skip


def measure(case, fraction):
    """IoU of the map's top `fraction`, intersected with `within`, and the reference.

    With the ground truth as reference this is IoU@5 % (eq. 11), with the predicted segmentation
    c_IoU (eq. 9). With `within` the map is thresholded before it is confined (eq. 6).

    Parameters
    ----------
    case : Case
        Its view, within and reference.
    fraction : float
        See :func:`segxai.metrics.salient.top_fraction`.

    Returns
    -------
    float in 0…1
        0 where the map is constant, or a predicted segmentation empty.
    """
    if case.view is None or case.reference is None:
        return np.nan
    marked = top_fraction(case.view, fraction)
    if case.within is not None:
        marked &= binary(case.within, "within")
    return float(np.nan_to_num(iou(marked, case.reference)))
