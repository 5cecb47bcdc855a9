"""Check of the values of a mask: between its two values only the seams of outlines are allowed."""

import numpy as np
from PIL import Image

MASK_THRESHOLD = 127  # of 255: between background and foreground
NOISE = 31  # of 255: a value this near to black or white may come from lossy compression
SLOPE = 8  # of 255: least change of a seam within a `PATCH`
STILL = 2  # of 255: the most change within a `PATCH` of grey so dark or bright as noise
PATCH = 2  # pixels to each side: a flat grey area of this size is a third value
THIN = 2  # pixels: reach of the seam of a mask without blur and compression
BLOCK = 8  # pixels: side of a block of JPEG


def third_value(levels: np.ndarray, flat: int, ripple: int | None) -> tuple[int, int] | None:
    """Find a third value of a mask: neither black nor white, nor the seam between them.

    White is the commonest value above the threshold. Others may lie near a black and a white pixel
    or the edge of the picture: in the same block of 8 × 8 pixels or the next, in a file without
    loss the next but one. Grey areas without a slope are third values wherever they lie. In a
    lossless file whose other values are all on one side of the threshold, these are more likely
    class numbers than blur or noise: only a thin seam is allowed.

    Parameters
    ----------
    levels : ndarray of uint8, (H, W)
        Some of them above the threshold.
    flat, ripple : int, int or None
        Largest errors of a lossy file in flat areas and along an outline; 0 and None for a lossless
        file.

    Returns
    -------
    place : tuple of int, optional
        Row and column of the first; None for none.
    """
    counts = np.array(Image.fromarray(levels).histogram())
    white = MASK_THRESHOLD + 1 + int(counts[MASK_THRESHOLD + 1 :].argmax())
    distance = np.minimum(np.arange(256), np.abs(np.arange(256) - white))  # to black or white
    third = distance > flat
    if not counts[third].any():
        return None
    sides = np.split(counts * third, [MASK_THRESHOLD + 1, white])[:2]
    if ripple is None and not all(side.any() for side in sides):
        thin = near(levels == 0, THIN) & near(levels == white, THIN)
        return first_of(third[levels] & ~thin)
    noise = max(NOISE, ripple or 0)
    if white - noise <= MASK_THRESHOLD:
        return first_of(third[levels])
    lowest, highest = block_extremes(levels)
    black, bright = lowest <= noise, highest >= white - noise
    reach = 2 if ripple is None else 1
    seam = near(black, reach) & near(bright, reach)
    # Where both are in one block, its other values do not matter.
    beside = np.where(black, highest > flat, (lowest < white - flat) | (highest > white + flat))
    if (far := beside & ~seam).any():
        rows, columns = (np.arange(side) // BLOCK for side in levels.shape)
        return first_of(third[levels] & far[np.ix_(rows, columns)])
    grey = distance > SLOPE
    if not counts[grey].any():
        return None
    padded = np.pad(levels, PATCH, "edge")
    change = joined(padded, PATCH, np.maximum) - joined(padded, PATCH, np.minimum)
    slope = np.where(distance <= noise, STILL, max(SLOPE, (ripple or 0) // 2))
    return first_of(joined(grey[padded], PATCH, np.logical_and) & (change <= slope[levels]))


def block_extremes(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest level (H / 8, W / 8) in each block of 8 × 8 pixels, as JPEG's."""
    height, width = (-(-side // BLOCK) for side in levels.shape)
    padding = [(0, BLOCK * n - side) for n, side in zip((height, width), levels.shape, strict=True)]
    strips = np.pad(levels, padding, "edge").reshape(height, BLOCK, -1)
    low, high = (join(strips, axis=1).reshape(height, width, BLOCK) for join in (np.min, np.max))
    return low.min(axis=2), high.max(axis=2)


def first_of(pixels: np.ndarray) -> tuple[int, int] | None:
    """Row and column of the first of some pixels (H, W); None for none."""
    row, column = np.unravel_index(pixels.argmax(), pixels.shape)
    return (int(row), int(column)) if pixels[row, column] else None


def near(pixels: np.ndarray, reach: int) -> np.ndarray:
    """Pixels (H, W) up to `reach` rows and columns away from the given ones or the edge."""
    framed = np.ones([side + 2 * reach for side in pixels.shape], bool)
    framed[reach:-reach, reach:-reach] = pixels
    return joined(framed, reach, np.logical_or)


def joined(pixels: np.ndarray, reach: int, join: np.ufunc) -> np.ndarray:
    """Join the pixels (H + 2 reach, W + 2 reach) in each window that lies within them (H, W)."""
    for _ in range(2):
        n_rows = len(pixels) - 2 * reach
        pixels = join.reduce([pixels[i : i + n_rows] for i in range(2 * reach + 1)]).T
    return pixels
