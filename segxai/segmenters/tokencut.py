"""TokenCut (Wang et al., CVPR 2022): the salient object in the token features of a transformer."""

import numpy as np
from skimage.transform import resize

from segxai.segmenters.tokens import NoPartition, cut_facts, cut_tokens, no_cut

ABOUT = {
    "title": "TokenCut", "cites": "Wang et al., CVPR 2022, arXiv:2202.11539",
    "reads": ["keys", "image"], "facts": ["objects", "eigengap", "dense", "problem"],
    "settings": {
        "tau": {"type": "number", "minimum": -1, "maximum": 1, "default": 0.2,
                "description": "Cosine similarity above which tokens are joined"},
    },
}  # fmt: skip


def segment(keys: np.ndarray, image: np.ndarray, tau: float) -> tuple[np.ndarray, dict]:
    """Mask of the most salient object by a Normalized Cut of the tokens (Wang et al., §3.2).

    Parameters
    ----------
    keys : ndarray of shape (h, w, d), float
        One feature per token: the keys of the last attention block.
    image : ndarray of shape (H, W, 3), uint8
        Its size is that of the mask; each pixel takes the nearest token.
    tau
        See `ABOUT`.

    Returns
    -------
    mask : ndarray of shape (H, W), bool
        Empty if the tokens have no cut; `facts` then gives the problem.
    facts : dict
        See :func:`segxai.segmenters.tokens.cut_facts`.
    """
    try:
        cut = cut_tokens(keys, tau)
    except NoPartition as problem:
        return no_cut(image, problem)
    return resize(cut.mask, image.shape[:2], order=0), cut_facts([cut])
