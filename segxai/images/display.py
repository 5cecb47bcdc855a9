"""Images as a person sees them: three channels of eight bits."""

from collections.abc import Sequence

import numpy as np


def display_image(image: np.ndarray, channels: Sequence[int] = (0, 1, 2)) -> np.ndarray:
    """Show an image of any channels and type by three of its channels.

    Parameters
    ----------
    image : ndarray of shape (H, W, C), uint8, uint16 or float
        uint16 uses its full range; float is an intensity in 0…1, and what lies outside is clipped.
    channels : sequence of 3 int
        Which channels are red, green and blue (`display` of the data set); they may repeat.

    Returns
    -------
    ndarray of shape (H, W, 3), uint8
    """
    shown = image[..., list(channels)]
    if shown.dtype == np.uint8:
        return shown
    intensity = shown / np.iinfo(shown.dtype).max if shown.dtype.kind == "u" else shown
    return np.rint(255 * np.clip(intensity, 0, 1)).astype(np.uint8)
