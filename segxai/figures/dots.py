"""Figure kind `dots`: the numbers of a table as dots with intervals, one line per method."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from segxai.figures.style import FAINT, INK, MILLIMETRE, PAGE, PAGE_HEIGHT, look, use_style


def dots(table: pd.DataFrame, controls: set[str]) -> Figure:
    """Draw each column of a table in a panel, with the methods in the order of the first column.

    Parameters
    ----------
    table
        block (title of a line of panels: data set and network), row (title of a method), explainer,
        column (title of a number), value, ci_low and ci_high.
    controls
        Explainers that are drawn in grey.

    Returns
    -------
    Figure
        A line of panels for each block, one panel for each column. Methods are ordered by the
        values of the first column, the lowest on top; those without a value come last.
    """
    use_style()
    blocks, columns = table.block.unique(), table.column.unique()
    counts = [table[table.block == block].row.nunique() for block in blocks]
    height = min(sum(3.4 * n + 16 for n in counts) * MILLIMETRE, PAGE_HEIGHT)
    figure, axes = plt.subplots(
        len(blocks),
        len(columns),
        figsize=(PAGE, height),
        squeeze=False,
        layout="constrained",
        height_ratios=counts,
        sharey="row",
    )
    for line, block in zip(axes, blocks, strict=True):
        own = table[table.block == block]
        first = own[own.column == columns[0]].set_index("row").value
        order = list(first.sort_values().index)
        place = {row: number for number, row in enumerate(order)}
        line[0].set_yticks(range(len(order)), order)
        line[0].invert_yaxis()
        line[0].set_title(block, loc="left", weight="bold")
        for ax, column in zip(line, columns, strict=True):
            shown = own[(own.column == column) & own.value.notna()]
            y = shown.row.map(place).to_numpy()
            grey = shown.explainer.isin(controls).to_numpy()
            for chosen, colour in ((~grey, look(1).colour), (grey, FAINT)):
                part = shown[chosen]
                spread = np.abs(part[["ci_low", "ci_high"]].sub(part.value, axis=0)).to_numpy().T
                style = {"fmt": "o", "markersize": 2.6, "elinewidth": 0.8, "color": colour}
                ax.errorbar(part.value, y[chosen], xerr=spread, **style)
            ax.grid(color="#E5E5E5")
            ax.set_xlabel(fill(column, 18), color=INK)
    return figure
