"""The most salient pixels of a map, and the share of a map in a region.

The lowest value of a map does not count as saliency: pixels with this value are never part of an
explanation. So a constant map explains nothing (its masks are empty, its scores 0), a SegX
explanation stays within its segmentation, and ties do not fill up the top 5 % of a map that is zero
almost everywhere. The strict threshold of SegX's official code has the same effect.
"""

import numpy as np

from segxai.metrics.overlap import binary


def top_fraction(saliency: np.ndarray, fraction: float) -> np.ndarray:
    """Mark the most salient pixels of a map (SegX, Disease Diagnosis and XAI).

    Parameters
    ----------
    saliency : ndarray of shape (H, W)
    fraction
        Share of the image, between 0 and 1.

    Returns
    -------
    ndarray of shape (H, W), bool
        k = round(`fraction`·H·W) pixels, at least 1; among ties those of lower flat index. Fewer
        only if fewer than k exceed the map's lowest value; none if the map is constant.

    Raises
    ------
    ValueError
        If the map is not 2-D or not finite, or the fraction is not between 0 and 1.
    """
    flat = checked(saliency).ravel()
    k = pixels_of(fraction, flat.size)
    threshold = np.partition(flat, -k)[-k]
    mask = flat > threshold
    if threshold > flat.min():
        ties = np.flatnonzero(flat == threshold)
        mask[ties[: k - mask.sum()]] = True
    return mask.reshape(np.shape(saliency))


def share_on(saliency: np.ndarray, region: np.ndarray) -> float:
    """Share of the sum of a map ≥ 0, or of a mask, that lies in a region (H, W) of 0 and 1.

    0 where the map is zero everywhere.
    """
    inside, total = saliency[binary(region, "region")].sum(), np.sum(saliency)
    return float(inside / total) if total > 0 else 0.0


def pixels_of(fraction: float, size: int) -> int:
    """Count the pixels of a share of an image of `size` pixels: at least 1."""
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction}.")
    return max(1, round(fraction * size))


def checked(saliency: np.ndarray) -> np.ndarray:
    """Return a finite map (H, W) as float64; ValueError for anything else."""
    saliency = np.asarray(saliency, dtype=np.float64)
    if saliency.ndim != 2:
        raise ValueError(f"a map must have shape (H, W), got {saliency.shape}.")
    if not np.isfinite(saliency).all():
        n = np.count_nonzero(~np.isfinite(saliency))
        raise ValueError(f"the map is NaN or infinite at {n} pixels; explain the image again.")
    return saliency
