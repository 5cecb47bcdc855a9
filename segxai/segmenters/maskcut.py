"""MaskCut (Wang et al., CVPR 2023): several objects by repeated cuts, refined by a dense CRF."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import binary_fill_holes
from skimage.transform import resize

from segxai.metrics.overlap import iou
from segxai.segmenters.crf import dense_crf
from segxai.segmenters.tokens import Cut, NoPartition, cut_facts, cut_tokens, no_cut
from segxai.views.grey import REFERENCE_SIDE

ABOUT = {
    "title": "MaskCut", "cites": "Wang et al., CVPR 2023, arXiv:2301.11320",
    "reads": ["keys", "image"], "facts": ["objects", "eigengap", "dense", "problem"],
    "settings": {
        "tau": {"type": "number", "minimum": -1, "maximum": 1, "default": 0.15,
                "description": "Cosine similarity above which tokens are joined"},
        "max_objects": {"type": "integer", "minimum": 1, "default": 3,
                        "description": "Number of cuts"},
    },
}  # fmt: skip

# A later object is dropped where it overlaps the one before by more, or covers no more of the grid.
MAX_OVERLAP, MIN_AREA = 0.5, 0.01
# A mask is dropped if its IoU with the CRF's result is below this.
MIN_AGREEMENT = 0.5
# Soft-max over a mask of 0 and 1: the official unaries.
FOREGROUND = float(np.exp(1) / (1 + np.exp(1)))
# Side of the published input. The official lengths are in its pixels, those of `dense_crf` are not.
INPUT_SIDE = 480
CRF = {
    "iterations": 10,
    "gaussian_sxy": 3 * REFERENCE_SIDE / INPUT_SIDE,
    "gaussian_compat": 7,
    "bilateral_sxy": 50 * REFERENCE_SIDE / INPUT_SIDE,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


def segment(
    keys: np.ndarray, image: np.ndarray, tau: float, max_objects: int
) -> tuple[np.ndarray, dict]:
    """Mask of the salient objects of an image, one Normalized Cut each (Wang et al., §3.2).

    Parameters
    ----------
    keys : ndarray of shape (h, w, d), float
        One feature per token: the keys of the last attention block.
    image : ndarray of shape (H, W, 3), uint8
        Published at 480 × 480; the lengths of the CRF scale with the image.
    tau, max_objects
        See `ABOUT`.

    Returns
    -------
    mask : ndarray of shape (H, W), bool
        The union of the objects, see :func:`refine`; empty if the tokens have no cut.
    facts : dict
        See :func:`segxai.segmenters.tokens.cut_facts`.
    """
    try:
        cuts = list(cut_objects(keys, tau, max_objects))
    except NoPartition as problem:
        return no_cut(image, problem)
    return refine([cut.mask for cut in cuts if cut.mask.any()], image), cut_facts(cuts)


def cut_objects(features: np.ndarray, tau: float, max_objects: int) -> Iterator[Cut]:
    """Yield one cut after another, each less the objects before it.

    The features of tokens in earlier objects are zero in the next cut. An object that is tiny, or
    mostly equal to the one before, is dropped: its mask is empty. Parameters and errors: see
    :func:`segxai.segmenters.tokens.cut_tokens`.
    """
    covered = np.zeros(features.shape[:2], bool)
    previous = None
    for _ in range(max_objects):
        try:
            rest = np.where(covered[..., None], 0, features)
            mask, eigengap = cut_tokens(rest, tau, avoid_corners=True)
        except NoPartition:
            if previous is None:
                raise
            return
        if previous is not None and (iou(mask, previous) > MAX_OVERLAP or mask.mean() <= MIN_AREA):
            mask = np.zeros_like(mask)
        yield Cut(mask & ~covered, eigengap)
        covered |= mask
        previous = mask


def refine(masks: Sequence[np.ndarray], image: np.ndarray) -> np.ndarray:
    """Refine each mask at the image's pixels, and join those that are kept.

    A mask is upsampled, refined by the dense CRF, and its holes are filled; it is dropped if its
    IoU with the result is below 0.5. The union is empty if no mask is kept.
    """
    union = np.zeros(image.shape[:2], bool)
    for mask in masks:
        coarse = resize(mask, union.shape, order=0)
        probability = np.where(coarse, FOREGROUND, 1 - FOREGROUND)
        refined = binary_fill_holes(dense_crf(image, probability, **CRF))
        if iou(coarse, refined) >= MIN_AGREEMENT:
            union |= refined
    return union
