"""Insertion: how fast a score rises while the most relevant pixels are restored."""

from segxai.metrics.removal import area

ABOUT = {
    "title": "insertion", "cites": "arXiv:1806.07421", "family": "faithfulness",
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
    """Area under the insertion curve, see :func:`segxai.metrics.removal.area`.

    It is the curve of least relevant first, read backwards.

    References
    ----------
    Petsiuk, Das & Saenko, BMVC 2018, arXiv:1806.07421.
    """
    return area(case, "insertion", fill, steps, scale)
