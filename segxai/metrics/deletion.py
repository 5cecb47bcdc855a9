"""Deletion: how fast a score falls while the most relevant pixels are removed."""

from segxai.metrics.removal import area

ABOUT = {
    "title": "deletion", "cites": "arXiv:1806.07421", "family": "faithfulness",
    "direction": "lower", "range": [None, None], "reads": ["curves"],
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
    """Area under the deletion curve, see :func:`segxai.metrics.removal.area`.

    Alone it ranks random pixels with the best maps, since any change of an image lowers its score:
    read it with ``insertion``, or take ``removal_gap``. One minus it is AOPC over p₀.

    References
    ----------
    Petsiuk, Das & Saenko, BMVC 2018, arXiv:1806.07421; Samek et al., arXiv:1509.06321.
    """
    return area(case, "deletion", fill, steps, scale)
