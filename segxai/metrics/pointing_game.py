"""Whether the peak of a map lies on a reference: the pointing game."""

from segxai.metrics.chance import on_reference

ABOUT = {
    "title": "pointing game", "cites": "arXiv:1608.00507", "family": "localisation",
    "direction": "higher", "range": [None, 1], "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "scale": {"enum": ["raw", "above_chance"], "default": "raw",
                  "description": "As it is, or 0 at chance and 1 at best"},
    },
}  # fmt: skip


def measure(case, scale):
    """Share of the map's highest pixels that lie on the reference (Zhang et al., 2016).

    Differs from the original in ties, which CAM maps have: it takes the first of equal pixels, here
    all of them share the hit, so that a constant map is at chance. Pixels near the reference do not
    count as hits. See :func:`segxai.metrics.chance.on_reference`.
    """
    return on_reference(case, _hit, scale)


def _hit(view, reference):
    return reference[view == view.max()].mean()
