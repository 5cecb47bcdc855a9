"""Figure kind `agreement`: how alike each two metrics order the methods, as a matrix."""

from itertools import pairwise
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.layout import picture
from segxai.figures.style import FAINT, INK, MILLIMETRE, PAGE, PAGE_HEIGHT, use_style

# White where two orders have nothing in common.
AGREEMENT_MAP = "RdBu"
# Panels side by side at most; inches for names at the left and below, for families at the right,
# above a panel and between two, and the largest side of a cell.
ACROSS = 2
NAMES, FAMILIES, ABOVE, BETWEEN, CELL = (MILLIMETRE * edge for edge in (33, 18, 10, 3, 11))


def agreement(table: pd.DataFrame) -> Figure:
    """Draw Kendall's τ of each two metrics.

    Parameters
    ----------
    table
        block (title of a panel: data set and network), statistic, row and column (titles of two
        metrics), family (of the column's), value, ci_low and ci_high. Lines of another statistic
        than ``agreement`` are of a whole panel, and written above it.

    Returns
    -------
    Figure
        One panel per block. Metrics of one family are beside each other; a τ whose interval does
        not hold 0 is bold.
    """
    use_style()
    pairs = table[table.statistic == "agreement"]
    families = dict(zip(pairs.column, pairs.family, strict=True))
    order = list(dict.fromkeys(families.values()))
    metrics = sorted(families, key=lambda metric: order.index(families[metric]))
    titles = [fill(metric, 20) for metric in metrics]
    blocks = list(pairs.block.unique())
    across = min(ACROSS, len(blocks))
    down = -(-len(blocks) // across)
    room = (PAGE - NAMES - FAMILIES) / across, (PAGE_HEIGHT - NAMES) / down
    side = min(room[0] - BETWEEN, room[1] - ABOVE, CELL * len(metrics))
    width, height = side + BETWEEN, side + ABOVE
    figure = plt.figure(figsize=(NAMES + across * width + FAMILIES, down * height + NAMES))
    for number, block in enumerate(blocks):
        line, place = divmod(number, across)
        ax = picture(figure, NAMES + place * width, NAMES + (down - line - 1) * height, side)
        _matrix(ax, pairs[pairs.block == block], metrics)
        whole = table[(table.block == block) & (table.statistic != "agreement")]
        texts = [f"{own.column} = {_interval(own)}" for own in whole.itertuples()]
        ax.set_title("\n".join([block, *texts]), loc="left", fontsize=6.5)
        _families(ax, [families[metric] for metric in metrics], place == across - 1)
        if place == 0:
            ax.set_yticks(range(len(metrics)), titles)
        if number + across >= len(blocks):
            ax.set_xticks(range(len(metrics)), titles, rotation=90)
    return figure


def _families(ax: Axes, families: list[str], named: bool) -> None:
    """Separate the metrics of different families, and write the families at the right."""
    for place, (before, after) in enumerate(pairwise(families)):
        if before != after:
            ax.axhline(place + 0.5, color=INK, linewidth=1.2)
            ax.axvline(place + 0.5, color=INK, linewidth=1.2)
    for family in dict.fromkeys(families) if named else []:
        middle = np.mean([place for place, own in enumerate(families) if own == family])
        ax.text(len(families) - 0.3, middle, family, color=FAINT, va="center")


def _matrix(ax: Axes, pairs: pd.DataFrame, metrics: list[str]) -> None:
    """Draw the cells of one panel of :func:`agreement`."""
    values, low, high = (
        pairs.pivot(index="row", columns="column", values=name).loc[metrics, metrics].to_numpy()
        for name in ("value", "ci_low", "ci_high")
    )
    ax.imshow(values, cmap=AGREEMENT_MAP, vmin=-1, vmax=1)
    ax.tick_params(length=0)
    for (row, column), value in np.ndenumerate(values):
        style = {"color": "white" if abs(value) > 0.6 else INK, "fontsize": 6}
        style["weight"] = "bold" if low[row, column] > 0 or high[row, column] < 0 else "normal"
        ax.text(column, row, _number(value), ha="center", va="center", **style)


def _interval(line) -> str:
    return f"{_number(line.value)} [{_number(line.ci_low)}, {_number(line.ci_high)}]"


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}".replace("-", "−")
