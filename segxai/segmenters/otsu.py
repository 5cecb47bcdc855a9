"""Otsu's threshold, on relevance and as a control on the grey image alone."""

import numpy as np
from skimage.color import rgb2gray
from skimage.filters import threshold_otsu


def otsu(grey: np.ndarray) -> np.ndarray:
    """Pixels above Otsu's threshold, (H, W) bool; none where the image is constant."""
    return grey > threshold_otsu(grey) if np.ptp(grey) > 0 else np.zeros(grey.shape, bool)


def otsu_image(image: np.ndarray, brighter: bool) -> np.ndarray:
    """One side of Otsu's threshold on the grey values of an image (H, W, 3), uint8: (H, W) bool."""
    mask = otsu(rgb2gray(image))
    return mask if brighter else ~mask
