"""Share of a map's top pixels that lie on a reference of as many pixels."""

from segxai.metrics.chance import hits, on_reference

ABOUT = {
    "title": "relevance rank", "cites": "arXiv:2003.07258", "family": "localisation",
    "direction": "higher", "range": [None, 1], "reads": ["view", "reference"],
    "undefined": "The reference is empty or unknown.",
    "settings": {
        "scale": {"enum": ["raw", "above_chance"], "default": "raw",
                  "description": "As it is, or 0 at chance and 1 at best"},
    },
}  # fmt: skip


def measure(case, scale):
    r"""Relevance rank accuracy: share of the top \|reference\| pixels that lie on the reference.

    Pixels of equal value share the places that they compete for, so a constant map is at chance.
    See :func:`segxai.metrics.chance.on_reference`.

    References
    ----------
    Arras, Osman & Samek, Information Fusion 81:14, 2022, arXiv:2003.07258.
    """
    return on_reference(case, _rank, scale)


def _rank(view, reference):
    n = reference.sum()
    return hits(view, reference, n) / n
