"""Share of a map's most salient pixels that lie on a reference."""

import numpy as np

from segxai.metrics.overlap import binary
from segxai.metrics.salient import share_on, top_fraction

ABOUT = {
    "title": "top pixels on the reference", "cites": "", "family": "localisation",
    "direction": "higher", "range": [0, 1], "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "fraction": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
                     "default": 0.05,
                     "description": "Share of the image's pixels that is taken as the explanation"},
    },
}  # fmt: skip


def measure(case, fraction):
    """Share of the map's top `fraction`, intersected with `within`, that lies on the reference.

    See :func:`segxai.metrics.salient.top_fraction`. In 0…1; 0 where no pixel is marked.
    """
    if case.view is None or case.reference is None:
        return np.nan
    marked = top_fraction(case.view, fraction)
    if case.within is not None:
        marked &= binary(case.within, "within")
    return share_on(marked, case.reference)
