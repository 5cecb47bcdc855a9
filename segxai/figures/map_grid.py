"""Figure kind `map_grid`: maps of some predictions by all explainers, side by side."""

from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from segxai.figures.examples import ERROR, Examples
from segxai.figures.layout import picture
from segxai.figures.outlines import draw_outline
from segxai.figures.style import (
    FAINT,
    INK,
    MILLIMETRE,
    PAGE,
    PAGE_HEIGHT,
    RELEVANCE_MAP,
    TRUTH,
    use_style,
)

# Inches for the names of methods, above the pictures of a data set, and between pictures.
NAMES, ABOVE, BETWEEN = (MILLIMETRE * edge for edge in (25, 11, 0.7))


def map_grid(panels: dict[str, Examples], titles: dict[str, str], controls: set[str]) -> Figure:
    """Draw the maps of some predictions by all explainers.

    Parameters
    ----------
    panels
        Examples of each data set by its printed name, perhaps without rows.
    titles
        Printed name of each method, an explainer of a network.
    controls
        Methods whose names are grey.

    Returns
    -------
    Figure
        For each data set, on a page at most, a column per prediction that has a rank, errors last;
        below the images a line per method, in as many blocks side by side as make the pictures
        largest. The true outline is white.
    """
    use_style()
    places = {title: panel.ranked(ERROR) for title, panel in panels.items()}
    n = max(1, *map(len, places.values()))
    across = max(range(1, 5), key=lambda count: _side(len(titles), n, count))
    step = _side(len(titles), n, across)
    per_block = -(-len(titles) // across)
    height = ABOVE + (1 + per_block) * step
    size = np.array([across * (NAMES + n * step), len(panels) * height])
    figure = plt.figure(figsize=size)
    for number, (title, panel) in enumerate(panels.items()):
        top = size[1] - number * height
        figure.text(0, (top - BETWEEN) / size[1], title, va="top", weight="bold")
        if not places[title]:
            words = "No label was predicted in any image."
            figure.text(0, (top - ABOVE) / size[1], words, va="top")
            continue
        for k in range(across):
            own = list(titles)[k * per_block : (k + 1) * per_block]
            left = NAMES + k * (NAMES + n * step)
            _block(figure, panel, places[title], (left, top - ABOVE), step, own)
            for line, name in enumerate(own, start=2):
                at = np.array([left - BETWEEN, top - ABOVE - (line - 0.5) * step]) / size
                colour = FAINT if name in controls else INK
                text, style = fill(titles[name], 20), {"ha": "right", "va": "center", "size": 6}
                figure.text(*at, text, color=colour, **style)
    return figure


def _side(n_methods: int, n: int, across: int) -> float:
    """Side of a picture with the room to the next, for a number of blocks side by side."""
    lines = 1 + -(-n_methods // across)
    return min((PAGE / across - NAMES) / n, (PAGE_HEIGHT - ABOVE) / lines)


def _block(
    figure: Figure,
    panel: Examples,
    places: list[int],
    corner: tuple[float, float],
    step: float,
    methods: list[str],
) -> None:
    """Draw images and maps of some methods, to the right of and below a corner."""
    for column, place in enumerate(places):
        row = panel.table.iloc[place]
        for line, name in enumerate(["", *methods]):
            x, y = corner[0] + column * step, corner[1] - (line + 1) * step
            ax = picture(figure, x, y, step - BETWEEN)
            if name:
                ax.imshow(panel.maps[name][place], cmap=RELEVANCE_MAP, vmin=0, vmax=255)
            else:
                ax.imshow(panel.images[place])
                verdict = "✓" if row.correct else "✗"
                ax.set_title(f"{row['rank']}\n{row.target} {verdict}", pad=2, fontsize=6)
            draw_outline(ax, panel.truth[place], TRUTH, width=0.6)
