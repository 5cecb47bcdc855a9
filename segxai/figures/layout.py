"""Layout of panels: grids of square pictures, and one legend for all panels of curves."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.style import MILLIMETRE, PAGE, PAGE_HEIGHT, use_style


def picture_grid(
    blocks: dict[str, int], columns: list[str]
) -> tuple[Figure, dict[str, list[list[Axes]]]]:
    """Lay out blocks of lines of square panels, as large as the page allows.

    Parameters
    ----------
    blocks
        Number of lines of each block, at least 1, by the title at its left edge.
    columns
        Titles of the columns.

    Returns
    -------
    figure : Figure
    panels : dict of str to list of list of Axes
        By block: its lines of panels.
    """
    use_style()
    left, right, top, between, below = (MILLIMETRE * edge for edge in (9, 0.5, 8, 0.7, 4.2))
    n_lines = sum(blocks.values())
    margins = top + (n_lines + len(blocks) - 1) * below
    cell = (PAGE - left - right + between) / len(columns) - between
    cell = min(cell, (PAGE_HEIGHT - margins) / n_lines)
    width = left + len(columns) * (cell + between) - between + right
    height = margins + n_lines * cell
    figure, y = plt.figure(figsize=(width, height)), height - top
    x = left + (cell + between) * np.arange(len(columns))
    panels = {}
    for title, n in blocks.items():
        tops = y - (cell + below) * np.arange(n)
        panels[title] = [
            [picture(figure, place, edge - cell, cell) for place in x] for edge in tops
        ]
        middle = (tops[0] + tops[-1] - cell) / 2 / height
        figure.text(0.003, middle, title, rotation=90, ha="left", va="center", weight="bold")
        y -= n * (cell + below) + below
    for ax, title in zip(next(iter(panels.values()))[0], columns, strict=True):
        ax.set_title(title, pad=4)
    return figure, panels


def picture(figure: Figure, x: float, y: float, side: float) -> Axes:
    """Add one square panel without axes; lengths are inches."""
    width, height = figure.get_size_inches()
    ax = figure.add_axes([x / width, y / height, side / width, side / height])
    ax.set(xticks=[], yticks=[])
    ax.xaxis.label.set_fontsize(6)
    ax.spines[:].set_visible(False)
    return ax


def curve_grid(n_lines: int, n_columns: int, line_height: float, margin: float):
    """Lay out (n_lines, n_columns) panels of curves that share x, and y in each line.

    `line_height` and `margin` (space for the legend) are in millimetres.
    """
    use_style()
    line_height = min(line_height, (PAGE_HEIGHT / MILLIMETRE - margin) / n_lines)
    width = min(PAGE, PAGE / 2 * max(1, n_columns / 2))
    size = (width, (margin + line_height * n_lines) * MILLIMETRE)
    shared = {"sharex": True, "sharey": "row", "squeeze": False, "layout": "constrained"}
    figure, axes = plt.subplots(n_lines, n_columns, figsize=size, **shared)
    for ax in axes.flat:
        ax.grid(color="#E5E5E5")
    return figure, axes


def shared_legend(figure: Figure, axes: np.ndarray) -> None:
    """Explain the curves of all panels once, below them, and line up the names of the axes."""
    handles = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.align_ylabels(axes[:, 0])
    style = {"loc": "outside lower center", "handlelength": 3}
    columns = 2 if len(axes[0]) < 3 else 3
    figure.legend(handles.values(), handles.keys(), ncols=columns, **style)
