"""The chain of TokenCut and MaskCut on one image: keys of a transformer, cuts, mask."""

import numpy as np

from segxai.segmenters import maskcut, tokencut
from segxai.segmenters.ncut import MIN_EIGENGAP

# By name in `baselines`: each maps the keys (h, w, d) of an image, the image (H, W, 3) and its own
# settings to a mask (H, W) bool and the cuts that led to it.
TOKEN_SEGMENTERS = {"tokencut": tokencut.segment, "maskcut": maskcut.segment}


def segment_keys(
    item: tuple[np.ndarray, np.ndarray], method: str, settings: dict
) -> tuple[np.ndarray, dict]:
    """Mask of one image by the cuts of its keys, and what became of the cuts.

    Parameters
    ----------
    item
        Keys (h, w, d), float, and image (H, W, 3), uint8.
    method
        A key of :data:`TOKEN_SEGMENTERS`.
    settings
        Its settings.

    Returns
    -------
    mask : ndarray of shape (H, W), bool
        Empty where there is nothing to cut, which `facts` tells.
    facts : dict
        objects, those found by the cuts; eigengap, the smallest of the cuts; dense, how many cuts
        had so small an eigengap that the dense solver was asked; and problem, why no cut could be
        made, else empty.
    """
    features, image = item
    try:
        mask, cuts = TOKEN_SEGMENTERS[method](features, image, **settings)
    except tokencut.NoPartition as problem:
        facts = {"objects": 0, "eigengap": np.nan, "dense": 0, "problem": str(problem)}
        return np.zeros(image.shape[:2], bool), facts
    eigengaps = [cut.eigengap for cut in cuts]
    return mask, {
        "objects": sum(bool(cut.mask.any()) for cut in cuts),
        "eigengap": min(eigengaps),
        "dense": sum(eigengap < MIN_EIGENGAP for eigengap in eigengaps),
        "problem": "",
    }
