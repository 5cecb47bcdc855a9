"""What one segmentation is of: all findings of an image, or those of one class."""

import numpy as np


def scoped(masks: np.ndarray, scope: str) -> np.ndarray:
    """Give the masks of images in a segmenter's scope.

    Parameters
    ----------
    masks : ndarray of shape (N, H, W) or (N, C, H, W), 0 or 1
        One mask per image, or one per class.
    scope
        ``"union"``: one mask per image, of all its findings. ``"per_class"``: one per class where
        the data set has them.

    Returns
    -------
    ndarray of shape (N, H, W) or (N, C, H, W)
        Of the type of `masks`.

    Raises
    ------
    ValueError
        If there is no such scope.
    """
    if scope not in ("union", "per_class"):
        raise ValueError(f"scope must be 'union' or 'per_class', got {scope!r}.")
    return masks.max(axis=1) if scope == "union" and masks.ndim == 4 else masks


def mask_of(masks: np.ndarray, label: int) -> np.ndarray:
    """Mask (H, W) of a class among the masks (C, H, W) of an image, or its only mask (H, W)."""
    return masks if masks.ndim == 2 else masks[label]
