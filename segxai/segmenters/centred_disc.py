"""A centred disc as large as the mean true mask: the control that ignores the image."""

from collections.abc import Iterable

import numpy as np
from skimage.draw import disk

ABOUT = {
    "title": "Centred disc", "cites": "", "reads": ["training", "image"], "facts": [],
    "settings": {},
}  # fmt: skip


def prepare(training: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """Mean area of the true masks (H, W) of (image, mask) pairs, a fraction of the image."""
    return float(np.mean([truth.mean() for _, truth in training]))


def segment(image: np.ndarray, prepared: float) -> np.ndarray:
    """Disc of area `prepared` about the centre of an image (H, W, …): (H, W) bool."""
    shape = image.shape[:2]
    mask = np.zeros(shape, bool)
    centre = (np.array(shape) - 1) / 2
    mask[disk(centre, np.sqrt(prepared * mask.size / np.pi), shape=shape)] = True
    return mask
