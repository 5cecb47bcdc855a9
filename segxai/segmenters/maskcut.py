"""MaskCut (Wang et al., CVPR 2023): several objects by repeated cuts, refined by a dense CRF."""

from collections.abc import Iterable, Iterator

import numpy as np
from scipy.ndimage import binary_fill_holes
from skimage.transform import resize

from segxai.metrics.overlap import iou
from segxai.segmenters.crf import dense_crf
from segxai.segmenters.tokencut import Cut, NoPartition, cut_tokens
from segxai.views.grey import REFERENCE_SIDE

# A later object is dropped where it overlaps the one before by more, or covers no more of the grid.
MAX_OVERLAP, MIN_AREA = 0.5, 0.01
# A mask that the CRF changes more than this is dropped.
MIN_AGREEMENT = 0.5
# Soft-max over a mask of 0 and 1: the official unaries.
FOREGROUND = float(np.exp(1) / (1 + np.exp(1)))
# Side of the published input. The official lengths are its pixels, those of `dense_crf` are not.
INPUT_SIDE = 480
CRF = {
    "iterations": 10,
    "gaussian_sxy": 3 * REFERENCE_SIDE / INPUT_SIDE,
    "gaussian_compat": 7,
    "bilateral_sxy": 50 * REFERENCE_SIDE / INPUT_SIDE,
    "bilateral_srgb": 5,
    "bilateral_compat": 10,
}


def maskcut(features: np.ndarray, tau: float = 0.15, max_objects: int = 3) -> np.ndarray:
    """Masks of the salient objects of an image, one Normalized Cut each (Wang et al., §3.2).

    Parameters
    ----------
    features : ndarray of shape (h, w, d), float
        One feature per token: the keys of the last attention block.
    tau
        Tokens of a higher cosine similarity are joined by an edge of weight 1.
    max_objects
        Number of cuts.

    Returns
    -------
    ndarray of shape (k, h, w), bool
        1 ≤ k ≤ max_objects masks in the order found, none empty, no two overlapping.

    Raises
    ------
    NoPartition
        If all tokens are alike.
    ValueError
        If the features are not finite or not a grid of at least three tokens.
    """
    return objects(cut_objects(features, tau, max_objects))


def objects(cuts: Iterable[Cut]) -> np.ndarray:
    """Masks (k, h, w) bool of those cuts that were not dropped."""
    return np.stack([cut.mask for cut in cuts if cut.mask.any()])


def cut_objects(features: np.ndarray, tau: float, max_objects: int) -> Iterator[Cut]:
    """Yield one cut after another, each less the objects before it.

    The features of the tokens found so far are zero in the next cut. An object that is mostly the
    one before, or tiny, is dropped: its mask is empty. Parameters and errors as of :func:`maskcut`.
    """
    found = np.zeros(features.shape[:2], bool)
    previous = None
    for _ in range(max_objects):
        try:
            mask, eigengap = cut_tokens(
                np.where(found[..., None], 0, features), tau, avoid_corners=True
            )
        except NoPartition:
            if previous is None:
                raise
            return
        if previous is not None and (iou(mask, previous) > MAX_OVERLAP or mask.mean() <= MIN_AREA):
            mask = np.zeros_like(mask)
        yield Cut(mask & ~found, eigengap)
        found |= mask
        previous = mask


def finish(masks: np.ndarray, image: np.ndarray, combine: str = "union") -> np.ndarray:
    """Refine each mask at the image's pixels and make one mask of them.

    A mask is upsampled, refined by the dense CRF and freed of holes; it is dropped where this
    changes it to an IoU below 0.5.

    Parameters
    ----------
    masks : ndarray of shape (k, h, w), bool
    image : ndarray of shape (H, W, 3), uint8
        Published at 480 × 480; the lengths of the CRF scale with the image.
    combine
        ``union`` of the masks that are kept, or the ``first`` of them.

    Returns
    -------
    ndarray of shape (H, W), bool
        Empty where no mask is kept.
    """
    if combine not in ("union", "first"):
        raise ValueError(f"combine must be 'union' or 'first', got {combine!r}.")
    kept = []
    for mask in masks:
        coarse = resize(mask, image.shape[:2], order=0)
        probability = np.where(coarse, FOREGROUND, 1 - FOREGROUND)
        refined = binary_fill_holes(dense_crf(image, probability, **CRF))
        if iou(coarse, refined) >= MIN_AGREEMENT:
            kept.append(refined)
    if not kept:
        return np.zeros(image.shape[:2], bool)
    return np.any(kept, axis=0) if combine == "union" else kept[0]


def segment(
    features: np.ndarray, image: np.ndarray, tau: float, max_objects: int, combine: str
) -> tuple[np.ndarray, list[Cut]]:
    """Mask of an image at its pixels: the objects of :func:`maskcut` through :func:`finish`.

    Parameters
    ----------
    features : ndarray of shape (h, w, d), float
    image : ndarray of shape (H, W, 3), uint8
    tau, max_objects, combine
        See :func:`maskcut` and :func:`finish`.

    Returns
    -------
    mask : ndarray of shape (H, W), bool
    cuts : list of 1 to `max_objects` Cut
    """
    cuts = list(cut_objects(features, tau, max_objects))
    return finish(objects(cuts), image, combine), cuts
