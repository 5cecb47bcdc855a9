"""Figure kind `map_examples`: maps of predictions, original and confined to a segmentation."""

from textwrap import shorten

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from segxai.figures.examples import ERROR, SEGMENTATION_MASK, Examples
from segxai.figures.layout import picture_grid
from segxai.figures.mask_examples import RELEVANCE_OPACITY
from segxai.figures.outlines import draw_outline, outlines
from segxai.figures.style import FAINT, RELEVANCE_MAP, SEGMENTATION, TRUTH

REFINED_VIEWS = ("segx", "segx_mask_first")
# Share of the image within the outline of a map.
TOP = 0.05


def map_examples(
    panels: dict[str, Examples], titles: dict[str, str], shades: dict[str, str], values: list[dict]
) -> Figure:
    """Draw maps beside their part inside the segmentation (SegX, Fig. 3).

    Parameters
    ----------
    panels
        Examples of each data set by its printed name, perhaps without rows.
    titles, shades
        Printed name and colour of each method, an explainer of a network.
    values
        The scores that are printed below the maps: key, short and view; those of a refined view
        below the refined map.

    Returns
    -------
    Figure
        One line per prediction that has a rank, errors last: the image; its true and its predicted
        segmentation; and for each method the original map and SegX's, with the outline of its top
        5 % and with its scores.
    """
    columns = ["image", "truth and\nsegmentation"]
    columns += [f"{title}\n{kind}" for title in titles.values() for kind in ("original", "SegX")]
    places = {title: panel.ranked(ERROR) for title, panel in panels.items()}
    blocks = {title: max(1, len(ranked)) for title, ranked in places.items()}
    figure, lines = picture_grid(blocks, columns)
    for title, panel in panels.items():
        for axes, place in zip(lines[title], places[title], strict=False):
            _example(axes, panel, place, {name: shades[name] for name in titles}, values)
        if not places[title]:
            edge = lines[title][0][0].get_position()
            words = "No label was predicted in any image."
            figure.text(edge.x0, (edge.y0 + edge.y1) / 2, words, va="center")
    return figure


def _example(
    axes: list[Axes], panel: Examples, place: int, shades: dict[str, str], values: list[dict]
) -> None:
    """Draw one line of :func:`map_examples`."""
    row, truth = panel.table.iloc[place], panel.truth[place]
    segmentation = panel.masks[SEGMENTATION_MASK][place]
    for ax in axes:
        ax.imshow(panel.images[place])
    axes[0].set_ylabel(row["rank"], color=FAINT, labelpad=3)
    axes[0].set_xlabel(f"{row.target} {'✓' if row.correct else '✗'}", labelpad=2)
    draw_outline(axes[1], truth, TRUTH)
    draw_outline(axes[1], segmentation, SEGMENTATION)
    axes[1].set_xlabel(shorten(row.label, 20, placeholder=" …"), labelpad=2, color=FAINT)
    for original, refined, (name, colour) in zip(
        axes[2::2], axes[3::2], shades.items(), strict=True
    ):
        relevance = panel.maps[name][place] / 255
        _map(original, relevance, truth, colour)
        _map(refined, relevance * segmentation, truth, colour)
        for ax, is_refined in ((original, False), (refined, True)):
            shown = [v for v in values if (v.get("view") in REFINED_VIEWS) == is_refined]
            texts = [f"{v['short']} {_score(row[v['key'] + ':' + name])}" for v in shown[:2]]
            ax.set_xlabel("  ".join(texts), labelpad=2)


def _map(ax: Axes, relevance: np.ndarray, truth: np.ndarray, colour: str) -> None:
    """Draw a map on its image with the true outline and that of the map's top 5 %."""
    ax.imshow(relevance, cmap=RELEVANCE_MAP, vmin=0, vmax=1, alpha=RELEVANCE_OPACITY)
    draw_outline(ax, truth, TRUTH, width=0.7)
    polygons = outlines(relevance > np.quantile(relevance, 1 - TOP))
    if polygons:
        # A map has hundreds of specks, which a halo would hide.
        path = Path.make_compound_path(*map(Path, polygons))
        ax.add_patch(PathPatch(path, edgecolor=colour, facecolor="none", linewidth=0.5))


def _score(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"
