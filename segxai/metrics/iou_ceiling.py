"""Largest IoU@fraction that any map can reach, given the size of the reference."""

import numpy as np

from segxai.metrics.overlap import binary
from segxai.metrics.salient import pixels_of

ABOUT = {
    "title": "IoU@fraction, ceiling", "cites": "", "family": "size", "direction": "none",
    "range": [0, 1], "reads": ["reference"], "undefined": "The reference is empty or unknown.",
    "settings": {
        "fraction": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
                     "default": 0.05,
                     "description": "Share of the image's pixels that is taken as the explanation"},
        "sparse": {"type": "boolean", "default": False,
                   "description": "Also of maps that are zero almost everywhere, such as SegX's"},
    },
}  # fmt: skip


def measure(case, fraction, sparse):
    r"""Largest IoU@fraction that a map can reach on the reference T.

    .. math:: \frac{\min(k, |T|)}{\max(k, |T|)}, \quad \text{or} \quad \min(1, k / |T|)
              \text{ for sparse maps}

    Parameters
    ----------
    case : Case
        Its reference T.
    fraction : float
        Fraction that defines k: see :func:`segxai.metrics.salient.top_fraction`.
    sparse : bool
        False for maps with at least k pixels above the lowest value, such as those of explainers.
        True for any map: SegX in either order may mark fewer than k pixels, and reaches this
        ceiling if its segmentation is the true mask.

    Returns
    -------
    float in 0…1
        NaN where the reference is empty.
    """
    if case.reference is None or not np.any(case.reference):
        return np.nan
    k = pixels_of(fraction, np.size(case.reference))
    area = binary(case.reference, "reference").sum()
    return float(min(1.0, k / area) if sparse else min(k, area) / max(k, area))
