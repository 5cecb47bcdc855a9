"""Otsu's threshold on the grey image: a control that uses the image but no explanation."""

from collections.abc import Iterable

import numpy as np
from skimage.color import rgb2gray

from segxai.metrics.overlap import dice
from segxai.views.grey import above_otsu

ABOUT = {
    "title": "Otsu on grey", "cites": "Otsu, IEEE Trans. SMC 9:62, 1979",
    "reads": ["training", "image"], "facts": [], "settings": {},
}  # fmt: skip


def prepare(training: Iterable[tuple[np.ndarray, np.ndarray]]) -> bool:
    """Whether the brighter side of the threshold fits the training images better.

    Parameters
    ----------
    training : iterable of (image, truth)
        Image (H, W, 3) of uint8 and its non-empty true mask (H, W). The fit is the mean Dice; a tie
        goes to the brighter side.
    """
    fits = [
        [dice(segment(image, brighter), truth) for brighter in (True, False)]
        for image, truth in training
    ]
    brighter, darker = np.mean(fits, axis=0)
    return bool(brighter >= darker)


def segment(image: np.ndarray, prepared: bool) -> np.ndarray:
    """One side of Otsu's threshold on the grey values of an image.

    Parameters
    ----------
    image : ndarray of shape (H, W, 3), uint8
    prepared
        The brighter side (True) or the darker one.

    Returns
    -------
    ndarray of shape (H, W), bool
    """
    mask = above_otsu(rgb2gray(image))
    return mask if prepared else ~mask
