"""The morphological chain of ExplainSeg (§3.5)."""

import numpy as np
from skimage.measure import label
from skimage.morphology import dilation, disk, erosion, remove_small_holes, remove_small_objects
from skimage.segmentation import clear_border

from segxai.views.grey import above_otsu, equalise, pixels

ABOUT = {
    "title": "Morphology", "cites": "ExplainSeg §3.5", "reads": ["view"], "facts": [],
    "settings": {
        "equalisation": {"enum": ["histogram", "adaptive", "none"], "default": "histogram",
                         "description": "Equalisation of the grey map before its threshold"},
        "dilate": {"type": "number", "minimum": 0, "default": 5,
                   "description": "Radius of the dilating disc in px at 224"},
        "erode": {"type": "number", "minimum": 0, "default": 3,
                  "description": "Radius of the eroding disc in px at 224"},
        "min_component": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.005,
                          "description": "Smallest component kept as a fraction of the image"},
        "max_hole": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.01,
                     "description": "Largest hole filled as a fraction of the image"},
    },
}  # fmt: skip


def segment(
    grey: np.ndarray,
    equalisation: str,
    dilate: float,
    erode: float,
    min_component: float,
    max_hole: float,
) -> np.ndarray:
    """Mask of a relevance map by thresholding and morphological operations.

    Equalisation, Otsu's threshold, removal of components that touch the border and of
    small ones, dilation, erosion, filling of small holes.

    Differs from the paper, which does not define a border artefact: components at the border are
    removed only if others remain, since the border may cut a lesion.

    Parameters
    ----------
    grey : ndarray of shape (H, W), in 0…1
        A view of the attribution.
    equalisation, …
        Settings: see `ABOUT`.

    Returns
    -------
    ndarray of shape (H, W), bool
    """
    mask = above_otsu(equalise(grey, equalisation))
    mask = remove_small_objects(mask, max_size=int(min_component * mask.size))
    inner = clear_border(label(mask)) > 0
    mask = inner if inner.any() else mask
    mask = dilation(mask, disk(round(pixels(dilate, mask.shape))))
    mask = erosion(mask, disk(round(pixels(erode, mask.shape))))
    return remove_small_holes(mask, max_size=int(max_hole * mask.size))
