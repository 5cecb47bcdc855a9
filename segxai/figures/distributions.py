"""Figure kind `distributions`: a score of each image by method, with the mean."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.style import COLUMN, INK, MILLIMETRE, PAGE, use_style

# Multiples of the golden ratio spread points evenly over a strip, identically in every run.
GOLDEN = (np.sqrt(5) - 1) / 2


def distributions(
    scores: pd.DataFrame,
    table: pd.DataFrame,
    datasets: dict[str, str],
    segmenters: dict[str, str],
    shades: dict[str, str],
    label: str,
) -> Figure:
    """Draw a score of every image by segmenter, with the mean and its interval.

    Parameters
    ----------
    scores
        One metric in tidy form: dataset, segmenter, image_id and value in 0…1. The values of an
        image's seeds are averaged.
    table
        The means in percent of one split: dataset, segmenter, value, ci_low, ci_high and n.
    datasets, segmenters
        Printed name of each data set (from left to right) and segmenter (from top to bottom).
    shades
        Colour of each segmenter.
    label
        Printed name of the score.

    Returns
    -------
    Figure
        One panel per data set.
    """
    use_style()
    width = min(PAGE, COLUMN * (0.3 + 0.7 * len(datasets)) * 1.25)
    size = (width, (12 + 9 * len(segmenters)) * MILLIMETRE)
    figure, axes = plt.subplots(
        1, len(datasets), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    per_image = scores.groupby(["dataset", "segmenter", "image_id"]).value.mean()
    means = table.set_index(["dataset", "segmenter"])
    for ax, (dataset, title) in zip(axes[0], datasets.items(), strict=True):
        for place, segmenter in enumerate(segmenters):
            if (dataset, segmenter) in means.index:
                values = per_image.loc[dataset, segmenter].dropna().to_numpy()
                _cloud(ax, place, 100 * values, shades[segmenter])
                _mean(ax, place, means.loc[(dataset, segmenter)])
        ax.set(xlim=(-2, 102), xlabel=f"{label} of an image, %", title=title)
        ax.set_yticks(range(len(segmenters)), list(segmenters.values()))
        ax.set_ylim(len(segmenters) - 0.4, -0.6)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", color="#E5E5E5")
        ax.spines.left.set_visible(False)
    return figure


def _cloud(ax: Axes, place: int, values: np.ndarray, colour: str) -> None:
    """Draw the density of scores above a line and the scores themselves below it."""
    if len(values) and np.ptp(values) > 0:
        style = {"orientation": "horizontal", "side": "low", "showextrema": False}
        shape = ax.violinplot(values, [place - 0.05], widths=0.75, **style)
        for body in shape["bodies"]:
            body.set(facecolor=colour, edgecolor=INK, linewidth=0.3, alpha=0.75)
    height = place + 0.1 + 0.22 * (np.arange(len(values)) * GOLDEN % 1)
    ax.scatter(values, height, s=2.2, color=colour, alpha=0.45, linewidths=0, rasterized=True)


def _mean(ax: Axes, place: int, row: pd.Series) -> None:
    """Draw a mean with its interval, and print it with the number of images."""
    ax.plot([row.ci_low, row.ci_high], [place, place], color=INK, linewidth=1.6)
    ax.plot(row.value, place, "o", color="white", markeredgecolor=INK, markersize=3.6)
    beside = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    text = f"{row.value:.1f}\nn = {row.n:.0f}"
    ax.annotate(text, (1, place), xytext=(3, 0), va="center", fontsize=6, **beside)
