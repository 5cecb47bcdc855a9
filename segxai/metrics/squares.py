"""Random sets of the squares of an image, which are removed together: the same for all maps."""

from typing import NamedTuple

import numpy as np

SHARES = (0.1, 0.3, 0.5, 0.7)
SIDE = 8
DRAWS = 25


class Response(NamedTuple):
    """Sets of squares (n, SIDE²), bool, and how much the score fell without each (n,)."""

    removed: np.ndarray
    falls: np.ndarray


def square_sets(seed: int) -> np.ndarray:
    """Draw sets of squares for an image: `DRAWS` of each of `SHARES`, in this order.

    Returns
    -------
    ndarray of shape (n, SIDE²), bool
    """
    rng, n = np.random.default_rng(seed), SIDE**2
    sizes = [round(share * n) for share in SHARES for _ in range(DRAWS)]
    return np.stack([rng.permutation(n) < size for size in sizes])


def square_of(shape: tuple[int, int]) -> np.ndarray:
    """Number of the square of each pixel of an image (H, W), int: SIDE × SIDE equal parts."""
    rows, columns = (np.arange(side) * SIDE // side for side in shape)
    return rows[:, None] * SIDE + columns


def sums(attribution: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Sum of an attribution (h, w) over each set of squares, (n,)."""
    parts = square_of(attribution.shape).ravel()
    per_square = np.bincount(parts, attribution.ravel().astype(np.float64), SIDE**2)
    return removed @ per_square
