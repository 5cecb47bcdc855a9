"""The figures of the ExplainSeg study, from arrays and tidy tables."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from segxai.figures.examples import Examples
from segxai.figures.outlines import outlines
from segxai.figures.style import (
    COLUMN,
    FAINT,
    INK,
    MILLIMETRE,
    PAGE,
    PAGE_HEIGHT,
    RELEVANCE_MAP,
    TRUTH,
    printed_name,
    use_style,
)

RELEVANCE_OPACITY = 0.6
# For each loss of a network: its name, and the score that is drawn beside it with that one's name.
CURVES = {
    "cross_entropy": ("cross-entropy loss", "accuracy", "accuracy of patches"),
    "bce": ("binary\ncross-entropy loss", "f1", "macro F1"),
    "paper_code": ("cross-entropy loss\nof sigmoids", "f1", "macro F1"),
    "segmentation": ("cross-entropy +\nDice loss", "dice", "Dice"),
}
# Fractions of the golden ratio spread points evenly over a strip, and alike in every run.
GOLDEN = (np.sqrt(5) - 1) / 2


def examples(panels: dict[str, Examples], rows: dict[str, str], palette: dict[str, str]) -> Figure:
    """Best, median and worst image of each data set, and what the methods made of them.

    Parameters
    ----------
    panels
        Examples of each data set by its printed name.
    rows
        Printed name of each method that is shown.
    palette
        Colour of each method by its printed name.

    Returns
    -------
    Figure
        One row per image: the image, its truth, its relevance, and the mask of each method as
        an outline beside the truth's, with its Dice in percent.
    """
    use_style()
    shades = {name: palette[row] for name, row in rows.items()}
    titles = ["image", "truth", "relevance", *(row.replace(" ", "\n", 1) for row in rows.values())]
    left, right, top, between, below = (MILLIMETRE * edge for edge in (9, 0.5, 8, 0.7, 3.6))
    step = (PAGE - left - right + between) / len(titles)
    cell = step - between
    lines = sum(len(panel.ranked()) for panel in panels.values())
    height = top + lines * (cell + below) + (len(panels) - 1) * below
    figure, y = plt.figure(figsize=(PAGE, height)), height - top
    for title, panel in panels.items():
        first = y
        for place in panel.ranked():
            axes = [
                figure.add_axes(
                    [(left + k * step) / PAGE, (y - cell) / height, cell / PAGE, cell / height]
                )
                for k in range(len(titles))
            ]
            _example(axes, panel, place, shades)
            if y == height - top:
                for ax, name in zip(axes, titles, strict=True):
                    ax.set_title(name, pad=4)
            y -= cell + below
        middle = (first + y + below) / 2 / height
        figure.text(0.003, middle, title, rotation=90, ha="left", va="center", weight="bold")
        y -= below
    return figure


def _example(axes: list[Axes], panel: Examples, place: int, shades: dict[str, str]) -> None:
    """Draw one line of :func:`examples`."""
    scores = panel.table.iloc[place]
    for ax in axes:
        ax.imshow(panel.images[place])
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
    axes[0].set_ylabel(scores["rank"], color=FAINT, labelpad=3)
    outline(axes[1], panel.truth[place], TRUTH)
    axes[2].imshow(panel.maps["relevance"][place], cmap=RELEVANCE_MAP, alpha=RELEVANCE_OPACITY)
    for ax, (name, shade) in zip(axes[3:], shades.items(), strict=True):
        outline(ax, panel.truth[place], TRUTH)
        outline(ax, panel.masks[name][place], shade)
        ax.set_xlabel(f"{100 * scores[f'dice:{name}']:.1f}", labelpad=2)
    axes[2].set_xlabel("Dice %", labelpad=2, color=FAINT, loc="right")


def outline(ax: Axes, mask: np.ndarray, colour: str, width: float = 1.1) -> None:
    """Draw the border of a mask, legible on light and dark tissue, in points of `width`."""
    halo = [Stroke(linewidth=width + 0.9, foreground="black", alpha=0.6), Normal()]
    for polygon in outlines(mask):
        ax.plot(*polygon.T, color=colour, linewidth=width, path_effects=halo)


def distributions(images: pd.DataFrame, table: pd.DataFrame, titles: dict, palette: dict) -> Figure:
    """Dice of every image by method, with the mean and its interval.

    Parameters
    ----------
    images
        One row per dataset, row and image, with dice in 0…1.
    table
        Tidy table with the means and intervals in percent (`segxai.stats.tables.summarise`).
    titles
        Printed name of each data set.
    palette
        Colour of each row that is drawn, from top to bottom.

    Returns
    -------
    Figure
        One panel per data set.
    """
    use_style()
    width = min(PAGE, COLUMN * (0.3 + 0.7 * len(titles)) * 1.25)
    size = (width, (12 + 9 * len(palette)) * MILLIMETRE)
    figure, axes = plt.subplots(
        1, len(titles), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    means = table[(table.split == "all") & (table.metric == "dice")]
    for ax, (dataset, title) in zip(axes[0], titles.items(), strict=True):
        ours = means[means.dataset == dataset].set_index("row")
        for place, (row, colour) in enumerate(palette.items()):
            dice = images[(images.dataset == dataset) & (images.row == row)].dice.dropna()
            _cloud(ax, place, 100 * dice.to_numpy(), colour)
            _mean(ax, place, ours.loc[row])
        ax.set(xlim=(-2, 102), xlabel="Dice of an image, %", title=title)
        ax.set_yticks(range(len(palette)), list(palette))
        ax.set_ylim(len(palette) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="#E5E5E5")
        sns.despine(ax=ax, left=True)
    return figure


def _cloud(ax: Axes, place: int, dice: np.ndarray, colour: str) -> None:
    """Draw the density of scores above a line and the scores themselves below it."""
    if np.ptp(dice) > 0:
        shape = ax.violinplot(
            dice,
            [place - 0.05],
            orientation="horizontal",
            widths=0.75,
            side="low",
            showextrema=False,
        )
        for body in shape["bodies"]:
            body.set(facecolor=colour, edgecolor=INK, linewidth=0.3, alpha=0.75)
    height = place + 0.1 + 0.22 * (np.arange(len(dice)) * GOLDEN % 1)
    ax.scatter(dice, height, s=2.2, color=colour, alpha=0.45, linewidths=0, rasterized=True)


def _mean(ax: Axes, place: int, row: pd.Series) -> None:
    """Draw a mean with its interval, and print it with the number of images."""
    ax.plot([row.ci_low, row.ci_high], [place, place], color=INK, linewidth=1.6)
    ax.plot(row.value, place, "o", color="white", markeredgecolor=INK, markersize=3.6)
    ax.annotate(
        f"{row.value:.1f}\nn = {row.n}",
        (1, place),
        xycoords=("axes fraction", "data"),
        xytext=(3, 0),
        textcoords="offset points",
        va="center",
        fontsize=6,
    )


def training(histories: dict[str, list[pd.DataFrame]], losses: dict[str, str]) -> Figure:
    """Loss and validation score by epoch, with the epoch that was kept.

    Parameters
    ----------
    histories
        For each network's printed name, one table per seed with epoch, train_loss,
        validation_loss and its score, such as validation_accuracy.
    losses
        The loss of each network, a key of `CURVES`.

    Returns
    -------
    Figure
        One line of two panels per network; every seed is a curve.
    """
    use_style()
    height = min(48, PAGE_HEIGHT / MILLIMETRE / len(histories))
    size = (PAGE, len(histories) * height * MILLIMETRE)
    figure, axes = plt.subplots(
        len(histories), 2, figsize=size, squeeze=False, layout="constrained"
    )
    for (left, right), (title, seeds) in zip(axes, histories.items(), strict=True):
        loss, score, name = CURVES[losses[title]]
        for history in seeds:
            best = history.loc[history.validation_loss.idxmin()]
            left.plot(
                history.epoch,
                history.train_loss,
                color=FAINT,
                linestyle="--",
                label="training loss",
            )
            _curve(left, history.epoch, history.validation_loss, best, "validation loss")
            percent = 100 * history[f"validation_{score}"]
            _curve(right, history.epoch, percent, best, "validation score")
        left.set(ylabel=loss, ylim=(0, None), title=printed_name(title))
        right.set(ylabel=f"{name}, %", title=printed_name(title))
        for ax in (left, right):
            ax.grid(axis="y", color="#E5E5E5")
            sns.despine(ax=ax)
    for ax in axes[-1]:
        ax.set_xlabel("epoch")
    for ax in axes[0]:
        handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        ax.legend(handles.values(), handles.keys())
    figure.align_ylabels()
    return figure


def _curve(ax: Axes, epoch: pd.Series, values: pd.Series, best: pd.Series, label: str) -> None:
    """Draw one curve by epoch and mark the epoch that was kept."""
    ax.plot(epoch, values, color=INK, label=label)
    ax.axvline(best.epoch, color=FAINT, linewidth=0.6, linestyle=":")
    kept = values[epoch == best.epoch]
    ax.plot(best.epoch, kept, "o", color="white", markeredgecolor=INK, label="epoch kept")
