"""Figure kind `mask_examples`: best, median and worst images with the masks of some methods."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.examples import Examples
from segxai.figures.layout import picture_grid
from segxai.figures.outlines import draw_outline
from segxai.figures.style import FAINT, RELEVANCE_MAP, TRUTH

RELEVANCE_OPACITY = 0.6


def mask_examples(
    panels: dict[str, Examples],
    titles: dict[str, str],
    shades: dict[str, str],
    score: str,
    score_title: str,
) -> Figure:
    """Draw the best, the median and the worst image of each data set, and the methods' masks.

    Parameters
    ----------
    panels
        Examples of each data set by its printed name.
    titles, shades
        Printed name and colour of each method that is shown.
    score, score_title
        The score that is printed below each mask, in percent: a prefix of the table's columns, and
        its printed name.

    Returns
    -------
    Figure
        One line per image: the image, its truth, its relevance, and the mask of each method as an
        outline beside the truth's, with its score.
    """
    broken = [title.replace(" ", "\n", 1) for title in titles.values()]
    blocks = {title: max(1, len(panel.ranked())) for title, panel in panels.items()}
    figure, lines = picture_grid(blocks, ["image", "truth", "relevance", *broken])
    for title, panel in panels.items():
        for axes, place in zip(lines[title], panel.ranked(), strict=False):
            _example(axes, panel, place, {name: shades[name] for name in titles}, score)
            axes[2].set_xlabel(f"{score_title}, %", labelpad=2, color=FAINT, loc="right")
    return figure


def _example(
    axes: list[Axes], panel: Examples, place: int, shades: dict[str, str], score: str
) -> None:
    """Draw one line of :func:`mask_examples`."""
    row = panel.table.iloc[place]
    for ax in axes:
        ax.imshow(panel.images[place])
    axes[0].set_ylabel(row["rank"], color=FAINT, labelpad=3)
    draw_outline(axes[1], panel.truth[place], TRUTH)
    for relevance in list(panel.maps.values())[:1]:
        axes[2].imshow(relevance[place], cmap=RELEVANCE_MAP, alpha=RELEVANCE_OPACITY)
    for ax, (name, shade) in zip(axes[3:], shades.items(), strict=True):
        draw_outline(ax, panel.truth[place], TRUTH)
        draw_outline(ax, panel.masks[name][place], shade)
        value = row[f"{score}:{name}"]
        ax.set_xlabel("–" if np.isnan(value) else f"{100 * value:.1f}", labelpad=2)
