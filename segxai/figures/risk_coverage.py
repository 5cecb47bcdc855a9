"""Figure kind `risk_coverage`: error rate among the most confident predictions."""

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.layout import curve_grid, shared_legend
from segxai.figures.style import FAINT, INK, look
from segxai.stats import selective

# Percent of coverage that the y-axis ignores: few predictions would dominate its range.
SETTLED = 5


def risk_coverage(
    scores: pd.DataFrame,
    datasets: dict[str, str],
    rows: dict[tuple[str, str], str],
    confidences: dict[str, str],
) -> Figure:
    """Draw the error rate among the most confident predictions, for each confidence.

    Parameters
    ----------
    scores
        One line per prediction: dataset, network, explainer, correct, and a column for each
        confidence; an undefined one is taken for 0, as the tables do.
    datasets, rows, confidences
        Printed names of the data sets (lines of panels), of network and explainer (columns) and of
        the confidences (curves).

    Returns
    -------
    Figure
        One panel per data set and row, with the error rate and the ideal curve.
        The mean height of a curve is its AURC.
    """
    figure, axes = curve_grid(len(datasets), len(rows), 46, 14)
    for line, (dataset, title) in zip(axes, datasets.items(), strict=True):
        for ax, ((network, explainer), name) in zip(line, rows.items(), strict=True):
            chosen = scores[
                (scores.dataset == dataset)
                & (scores.network == network)
                & (scores.explainer == explainer)
            ]
            counts = f"n = {len(chosen):,}, {int((chosen.correct == 0).sum()):,} errors"
            ax.set_title(f"{title}\n{name}\n{counts}", fontsize=6.5)
            _curves(ax, chosen, confidences)
        curves = [curve for ax in line for curve in ax.lines]
        heights = [curve.get_ydata()[curve.get_xdata() >= SETTLED].max() for curve in curves]
        line[0].set(xlim=(0, 102), ylim=(-2, 1.05 * max(heights, default=0) + 2))
        line[0].set_ylabel("risk: errors among\naccepted, %")
    for ax in axes[-1]:
        ax.set_xlabel("coverage: accepted, %")
    shared_legend(figure, axes)
    return figure


def _curves(ax: Axes, scores: pd.DataFrame, confidences: dict[str, str]) -> None:
    """Draw one panel of :func:`risk_coverage`."""
    if scores.empty:
        ax.text(0.5, 0.5, "no label was\npredicted", transform=ax.transAxes, ha="center")
        return
    correct = (scores.correct == 1).to_numpy()
    perfect = np.arange(len(correct), 0, -1)
    ax.plot(*_expected(perfect, np.sort(correct)[::-1]), color=FAINT, lw=0.8, label="ideal")
    for place, (confidence, label) in enumerate(confidences.items()):
        percent = _expected(scores[confidence].fillna(0).to_numpy(), correct)
        # Matplotlib omits labels that begin with _; a zero-width space before it prevents that.
        shown = re.sub("^_", "\u200b_", label)
        ax.plot(*percent, color=look(place).colour, linestyle=look(place).line, label=shown)
    rate = 100 * (1 - correct.mean())
    ax.plot([0, 100], [rate, rate], color=INK, linestyle="--", linewidth=0.8, label="error rate")


def _expected(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risk at each number of accepted predictions; within ties, its mean over all orders."""
    coverage, risk = selective.risk_coverage(confidence, correct)
    share = np.arange(1, len(correct) + 1) / len(correct)
    errors = np.interp(share, np.append(0, coverage), np.append(0, coverage * risk))
    return 100 * share, 100 * errors / share
