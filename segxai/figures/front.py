"""Figure kind `front`: a score of each explainer against its cost, and which no other one beats."""

from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from segxai.figures.style import FAINT, INK, MILLIMETRE, PAGE, PAGE_HEIGHT, look, use_style

# Panels side by side.
ACROSS = 2
# Places of a name around its point, the best first: distances in points, and directions.
DISTANCES = (4, 9, 15, 22, 30, 40, 52)
DIRECTIONS = [(1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1)]
# Lines pass behind names.
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.3}
NAME = {"fontsize": 5.5, "ha": "left", "va": "bottom", "bbox": BOX}
# Of a point, in points; and between explainers of equal passes, in powers of ten.
RADIUS, STEP = 2, 0.025


def front(table: pd.DataFrame, controls: set[str], label: str, direction: str) -> Figure:
    """Draw a score of each explainer by its passes, with the front of those that none beats.

    Parameters
    ----------
    table
        block (title of a panel: data set and network), explainer, row (its printed name), passes
        of an image, value, ci_low and ci_high.
    controls
        Explainers that are drawn in grey, and do not belong to the front.
    label
        Printed name of the score.
    direction
        ``higher`` or ``lower``: which score is better. The better end of the axis is the upper.

    Returns
    -------
    Figure
        One panel per block. The stepped line is the front, the dashed line the best control.
    """
    use_style()
    blocks = table.block.unique()
    table = table.assign(control=table.explainer.isin(controls)).dropna(subset=["value", "passes"])
    table = table.assign(x=_apart(table))
    across = min(ACROSS, max(len(blocks), 1))
    down = max(-(-len(blocks) // across), 1)
    size = (PAGE, min(90 * MILLIMETRE, PAGE_HEIGHT / down) * down)
    shared = {"sharex": True, "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(down, across, figsize=size, **shared)
    for ax in axes.flat[len(blocks) :]:
        ax.set_visible(False)
    # Controls without a pass have a place left of the logarithmic part.
    axes[0, 0].set_xscale("symlog", linthresh=1, linscale=0.4)
    axes[0, 0].set_xlim(-0.4, 5 * max([1, *table.passes]))
    axes[0, 0].xaxis.set_major_formatter("{x:,.0f}")
    panels = [(axes.flat[n], table[table.block == block]) for n, block in enumerate(blocks)]
    for block, (ax, part) in zip(blocks, panels, strict=True):
        _scores(ax, part, direction)
        ax.set_title(block, loc="left", weight="bold")
        ax.set(xlabel="passes of an image", ylabel=label)
    # Names find their places once the layout is fixed.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for ax, part in panels:
        _names(ax, part)
    return figure


def undominated(passes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Whether no other one of n explainers is better at no more passes, or as good at fewer.

    Parameters
    ----------
    passes, scores : ndarray of shape (n,)
        Higher scores are better.

    Returns
    -------
    ndarray of shape (n,), bool
    """
    fewer, better = passes[:, None] < passes, scores[:, None] > scores
    no_more, no_worse = passes[:, None] <= passes, scores[:, None] >= scores
    return ~((fewer & no_worse) | (better & no_more)).any(axis=0)


def _apart(table: pd.DataFrame) -> pd.Series:
    """Places of the points on the axis: side by side, the lowest first, where passes are equal."""
    alike = table.groupby(["block", "passes"]).value
    steps = alike.rank(method="first") - (alike.transform("size") + 1) / 2
    passes = table.passes
    return (passes * 10 ** (STEP * steps)).where(passes >= 1, passes + 2 * STEP * steps)


def _scores(ax: Axes, table: pd.DataFrame, direction: str) -> None:
    """Draw the points of one panel of :func:`front`, its front and its best control."""
    if table.empty:
        ax.text(0.5, 0.5, "no score", transform=ax.transAxes, ha="center")
        return
    sign = 1 if direction == "higher" else -1
    own, controls = table[~table.control], table[table.control]
    best = own[undominated(own.passes.to_numpy(), sign * own.value.to_numpy())]
    best = best.sort_values("passes")
    ends = [*best.x, 10 * max(table.passes.max(), 1)], [*best.value, *best.value[-1:]]
    ax.plot(*ends, drawstyle="steps-post", color=look(0).colour, linewidth=0.9, zorder=1)
    if len(controls):
        level = sign * (sign * controls.value).max()
        ax.axhline(level, color=FAINT, linestyle="--", linewidth=0.8, zorder=1)
    others = own.drop(best.index)
    for part, colour in ((controls, FAINT), (others, look(1).colour), (best, look(0).colour)):
        spread = np.abs(part[["ci_low", "ci_high"]].sub(part.value, axis=0)).to_numpy().T
        style = {"fmt": "o", "markersize": 3.2, "elinewidth": 0.6, "color": colour}
        ax.errorbar(part.x, part.value, yerr=spread, **style)
    ax.grid(color="#E5E5E5")
    if direction == "lower":
        ax.invert_yaxis()


def _names(ax: Axes, table: pd.DataFrame) -> None:
    """Name each point at the first place around it that no other point or name takes."""
    scale = ax.figure.dpi / 72
    points = ax.transData.transform(table[["x", "value"]].to_numpy()) / scale
    low, high = ax.get_window_extent().get_points() / scale
    taken = [Bbox([point - RADIUS, point + RADIUS]) for point in points]
    for place in np.argsort(table.control, kind="stable"):
        line, point = table.iloc[place], points[place]
        style = NAME | {"color": FAINT if line.control else INK}
        size = _size(ax, line.row, style) / scale
        # From the point to the lower left corner of its name.
        offsets = [
            np.sign(way) * distance + size * (np.sign(way) - 1) / 2
            for distance, way in product(DISTANCES, np.array(DIRECTIONS))
        ]
        boxes = [Bbox([point + offset, point + offset + size]) for offset in offsets]
        free = [
            number
            for number, box in enumerate(boxes)
            if (box.min >= low).all() and (box.max <= high).all() and not box.count_overlaps(taken)
        ]
        chosen = next(iter(free), 0)
        taken.append(boxes[chosen])
        leader = {"arrowstyle": "-", "linewidth": 0.3, "color": FAINT, "shrinkA": 0, "shrinkB": 2}
        ax.annotate(
            line.row,
            (line.x, line.value),
            offsets[chosen],
            textcoords="offset points",
            arrowprops=leader if chosen >= len(DIRECTIONS) else None,
            **style,
        )


def _size(ax: Axes, name: str, style: dict) -> np.ndarray:
    """Width and height of a name in pixels."""
    text = ax.text(0, 0, name, **style)
    size = text.get_window_extent().size
    text.remove()
    return np.array(size)
