"""A centred disc: the control that looks at nothing."""

import numpy as np
from skimage.draw import disk


def centred_disc(shape: tuple[int, int], area: float) -> np.ndarray:
    """Disc of `area` (fraction of the image) about the centre of `shape`: (H, W) bool."""
    mask = np.zeros(shape, bool)
    centre = (np.array(shape) - 1) / 2
    mask[disk(centre, np.sqrt(area * mask.size / np.pi), shape=shape)] = True
    return mask
