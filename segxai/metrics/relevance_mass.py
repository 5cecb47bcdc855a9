"""Share of a map's relevance that lies on a reference: relevance mass accuracy."""

from segxai.metrics.chance import on_reference
from segxai.metrics.salient import share_on

ABOUT = {
    "title": "relevance mass", "cites": "arXiv:2003.07258", "family": "localisation",
    "direction": "higher", "range": [None, 1], "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "scale": {"enum": ["raw", "above_chance"], "default": "raw",
                  "description": "As it is, or 0 at chance and 1 at best"},
    },
}  # fmt: skip


def measure(case, scale):
    """Sum of the map on the reference, divided by its sum: :func:`segxai.metrics.salient.share_on`.

    References
    ----------
    Arras, Osman & Samek, Information Fusion 81:14, 2022, arXiv:2003.07258.
    """
    return on_reference(case, share_on, scale)
