"""Masks as outlines, so that the image below stays visible."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import Normal, Stroke
from skimage.measure import approximate_polygon, find_contours

# Tolerance in pixels by which an outline with fewer points may leave the mask's border.
TOLERANCE = 0.6


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Trace the borders of a mask.

    Parameters
    ----------
    mask : ndarray of shape (H, W), 0/1

    Returns
    -------
    list of ndarray of shape (m, 2)
        Closed polygons of (x, y) in pixels, where a pixel's centre has whole coordinates; the
        border of a hole is a polygon of its own.
    """
    # A margin closes the outline of a mask that touches the edge of the image.
    borders = find_contours(np.pad(mask.astype(float), 1), 0.5)
    return [approximate_polygon(border, TOLERANCE)[:, ::-1] - 1 for border in borders]


def draw_outline(ax: Axes, mask: np.ndarray, colour: str, width: float = 1.1) -> None:
    """Draw the border of a mask, legible on light and dark tissue, in points of `width`."""
    halo = [Stroke(linewidth=width + 0.9, foreground="black", alpha=0.6), Normal()]
    for polygon in outlines(mask):
        ax.plot(*polygon.T, color=colour, linewidth=width, path_effects=halo)


def svg_path(mask: np.ndarray) -> str:
    """Write the outlines of a mask (H, W) as the ``d`` of an SVG path in pixels of the mask."""
    return "".join(
        "M" + " ".join(f"{x + 0.5:.4g},{y + 0.5:.4g}" for x, y in polygon[:-1]) + "Z"
        for polygon in outlines(mask)
    )
