"""Maps as grey images: size, range and histogram."""

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist, equalize_hist
from skimage.filters import threshold_otsu
from skimage.transform import resize

# Lengths of the configuration are pixels of an image of this side, the input of ViT-S/16.
REFERENCE_SIDE = 224


def pixels(length: float, shape: tuple[int, int]) -> float:
    """Convert a length at 224 px to pixels of an image of `shape`."""
    return length * max(shape) / REFERENCE_SIDE


def peak_one(values: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a map (h, w) ≥ 0 bilinearly to `shape`, float32, and scale it to maximum 1.

    All zero if the map is.
    """
    full = resize(values.astype(np.float64), shape, order=1, anti_aliasing=False, mode="edge")
    peak = full.max()
    return (full / peak if peak > 0 else full).astype(np.float32)


def cells(grey: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mean of a map (H, W) in each cell of a coarse grid (h, w): an antialiased resizing."""
    return resize(grey, shape, order=1, anti_aliasing=True, mode="edge")


def of_cells(chosen: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Mask (H, W) of chosen cells (h, w), bool: bilinear, split at one half."""
    return resize(chosen.astype(float), shape, order=1, mode="edge") > 0.5


def smooth(relevance: np.ndarray, clip_percentile: float, sigma: float) -> np.ndarray:
    """Clip the peaks of a relevance map, smooth it and scale it to 0…1 (ExplainSeg §3.5).

    Parameters
    ----------
    relevance : ndarray of shape (H, W), ≥ 0
    clip_percentile
        Percentile above which the map is clipped: single pixels would otherwise dominate it.
    sigma
        Standard deviation of the Gaussian, in pixels at 224 px.

    Returns
    -------
    ndarray of shape (H, W), float64 in 0…1
        All zero where the map is constant.
    """
    grey = relevance.astype(np.float64)
    grey = np.minimum(grey, np.percentile(grey, clip_percentile))
    grey = gaussian_filter(grey, pixels(sigma, grey.shape))
    return unit_range(grey)


def unit_range(x: np.ndarray) -> np.ndarray:
    """Scale a map to 0…1, all zero where it is constant."""
    span = np.ptp(x)
    return (x - x.min()) / span if span > 0 else np.zeros_like(x)


# "histogram" follows ExplainSeg §3.5, "adaptive" the paper that it cites there.
EQUALISATIONS = {
    "histogram": equalize_hist,
    "adaptive": equalize_adapthist,
    "none": lambda grey: grey,
}


def equalise(grey: np.ndarray, kind: str) -> np.ndarray:
    """Spread the histogram of a grey image in 0…1 by one of `EQUALISATIONS`."""
    return EQUALISATIONS[kind](grey) if np.ptp(grey) > 0 else grey


def above_otsu(grey: np.ndarray) -> np.ndarray:
    """Pixels above Otsu's threshold, (H, W) bool; none where the image is constant."""
    return grey > threshold_otsu(grey) if np.ptp(grey) > 0 else np.zeros(grey.shape, bool)
