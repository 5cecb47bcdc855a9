"""Images for display: three channels of eight bits."""

from collections.abc import Sequence

import numpy as np


def display_image(image: np.ndarray, channels: Sequence[int] = (0, 1, 2)) -> np.ndarray:
    """Show an image (H, W, C) as (H, W, 3), uint8, by three of its channels, which may repeat.

    uint16 uses its full range; float is an intensity, clipped to 0…1.
    """
    shown = image[..., list(channels)]
    if shown.dtype == np.uint8:
        return shown
    intensity = shown / np.iinfo(shown.dtype).max if shown.dtype.kind == "u" else shown
    return np.rint(255 * np.clip(intensity, 0, 1)).astype(np.uint8)
