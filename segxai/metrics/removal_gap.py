"""Insertion minus deletion: the symmetric relevance gain, or area between the curves."""

from segxai.metrics.removal import area

ABOUT = {
    "title": "insertion − deletion", "cites": "arXiv:2401.06654", "family": "faithfulness",
    "direction": "higher", "range": [None, None], "reads": ["curves"],
    "undefined": "The score of the image is 0, or that of the fill.",
    "settings": {
        "fill": {"enum": ["blur", "black", "tokens"], "default": "blur",
                 "description": "What takes the place of removed pixels; tokens of a plain ViT are "
                                "left out instead"},
        "steps": {"type": "integer", "minimum": 2, "default": 28,
                  "description": "Equal steps from the image to the fill"},
        "scale": {"enum": ["probability", "logit"], "default": "probability",
                  "description": "Score that is followed"},
    },
}  # fmt: skip


def measure(case, fill, steps, scale):
    """Area under the insertion curve minus that under the deletion curve.

    Both come from one order of pixels. A random order has 0 in expectation, or less, whatever the
    fill. See :func:`segxai.metrics.removal.area`.

    References
    ----------
    Blücher, Vielhaben & Strodthoff, arXiv:2401.06654.
    """
    rising, falling = (area(case, n, fill, steps, scale) for n in ("insertion", "deletion"))
    return rising - falling
