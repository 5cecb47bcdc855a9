"""True masks, degraded by a known dose: a segmentation of known quality."""

import numpy as np
from scipy import ndimage
from skimage.morphology import isotropic_dilation

from segxai.metrics.overlap import binary
from segxai.views.grey import pixels

ABOUT = {
    "title": "Degraded truth", "cites": "", "reads": ["truth"], "facts": [],
    "settings": {
        "kind": {"enum": ["erode", "dilate", "shift"],
                 "description": "Change of the true mask"},
        "radius": {"type": "number", "minimum": 0,
                   "description": "Radius of the disc, or distance of the shift, in px at 224"},
    },
}  # fmt: skip


def segment(truth: np.ndarray, seed: int, kind: str, radius: float) -> np.ndarray:
    """Erode, dilate or shift a mask.

    Parameters
    ----------
    truth : ndarray of shape (H, W), bool or 0/1
    seed
        Seed of the direction of the shift, which is the same at every radius.
    kind
        ``"erode"`` or ``"dilate"``: by a disc. The border of the image is not an edge of the mask.
        ``"shift"``: in a random direction; pixels that leave the image are lost.
    radius
        See `ABOUT`.

    Returns
    -------
    ndarray of shape (H, W), bool
        The mask itself at radius 0; empty if no pixel remains.
    """
    if radius < 0:
        raise ValueError(f"radius must be at least 0, got {radius}.")
    mask = binary(truth, "truth")
    length = pixels(radius, mask.shape)
    if kind == "erode":
        return ~_dilated(~mask, length)
    if kind == "dilate":
        return _dilated(mask, length)
    if kind == "shift":
        angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
        offset = np.rint([length * np.sin(angle), length * np.cos(angle)])
        return ndimage.shift(mask.astype(np.uint8), offset, order=0).astype(bool)
    raise ValueError(f"kind must be 'erode', 'dilate' or 'shift', got {kind!r}.")


def _dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    # SciPy's distance to the nearest pixel is arbitrary for an empty mask.
    return isotropic_dilation(mask, radius) if mask.any() else mask
