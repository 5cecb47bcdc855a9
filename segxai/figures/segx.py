"""The figures of the SegX study, from arrays, scores per prediction and tidy tables."""

from dataclasses import dataclass
from itertools import product
from textwrap import shorten

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from segxai.figures.examples import RANKS, rank
from segxai.figures.explainseg import RELEVANCE_OPACITY, outline
from segxai.figures.outlines import outlines
from segxai.figures.style import (
    COLUMN,
    CONFIDENCES,
    DOSES,
    FAINT,
    INK,
    MILLIMETRE,
    PAGE,
    PAGE_HEIGHT,
    RELEVANCE_MAP,
    SEGMENTATION,
    TRUTH,
    printed_name,
    use_style,
)
from segxai.stats import selective
from segxai.views.segx import segx, top_fraction

ERROR = "error"
RANKED = ("c_iou", "c_auitc", "maximum_probability", "entropy", "segmentation_confidence")
# Percent of coverage below which the risk of a few predictions does not set the scale.
SETTLED = 5
# Metrics of ``tables/segx_doses.csv`` with their names, and the value at which a mask adds nothing.
RESPONSES = {
    "iou@5% gain": ("gain in IoU@5 %", 0.0),
    "auitc gain": ("gain in AUITC", 0.0),
    "auroc c_iou": (r"AUROC of $c_\mathrm{IoU}$", 0.5),
}


@dataclass(frozen=True)
class Case:
    """One predicted label of one image, and what explains it.

    Attributes
    ----------
    rank : str
        best, median or worst of the right predictions, or error.
    target : str
        The predicted label.
    label : str
        What the image shows: all of its labels.
    present : bool
        Whether the image shows `target`.
    probability : float in 0…1
    image : ndarray of shape (H, W, 3), uint8
    truth, segmentation : ndarray of shape (H, W), 0/1
    maps : dict of str to ndarray of shape (H, W), in 0…1
        By explainer.
    scores : DataFrame
        iou_original, iou_segx and c_iou by explainer.
    """

    rank: str
    target: str
    label: str
    present: bool
    probability: float
    image: np.ndarray
    truth: np.ndarray
    segmentation: np.ndarray
    maps: dict[str, np.ndarray]
    scores: pd.DataFrame


def choose_cases(scores: pd.DataFrame) -> dict[str, int]:
    """Choose the predictions that a reader is shown.

    Parameters
    ----------
    scores
        One row per prediction, perhaps none: present, truth_fraction, iou_segx and
        maximum_probability.

    Returns
    -------
    dict of str to int
        Places of the best, the median and the worst IoU@5 % of SegX among right predictions with a
        true mask, and of the error with the highest maximum probability: those that there are.
    """
    right = scores.present == 1
    shown = scores.iou_segx.where(right & (scores.truth_fraction > 0))
    named = rank(shown.to_numpy(np.float64)).tolist()
    places = {name: named.index(name) for name in RANKS if name in named}
    if not right.all():
        confidence = scores.maximum_probability.where(~right).to_numpy(np.float64)
        places[ERROR] = int(np.nanargmax(confidence))
    return places


def examples(panels: dict[str, list[Case]], palette: dict[str, str]) -> Figure:
    """Original explanations beside those of SegX (SegX, Fig. 3).

    Parameters
    ----------
    panels
        Predictions of each data set by its printed name, perhaps none.
    palette
        Colour of each explainer.

    Returns
    -------
    Figure
        One row per prediction: the image; its true and its predicted segmentation; and for each
        explainer the original map and SegX's, with the outline of its top 5 % and with its score.
    """
    use_style()
    titles = ["image", "truth and\nsegmentation"]
    for explainer in palette:
        titles += [f"{printed_name(explainer)}\n{kind}" for kind in ("original", "SegX")]
    figure, blocks = _grid([max(1, len(cases)) for cases in panels.values()], len(titles))
    for ax, title in zip(blocks[0][0], titles, strict=True):
        ax.set_title(title, pad=4)
    for (title, cases), lines in zip(panels.items(), blocks, strict=True):
        spans = [line[0].get_position() for line in lines]
        middle = (spans[0].y1 + spans[-1].y0) / 2
        figure.text(0.003, middle, title, rotation=90, ha="left", va="center", weight="bold")
        for axes, case in zip(lines, cases, strict=False):
            _case(axes, case, palette)
        if not cases:
            figure.text(spans[0].x0, middle, "No label was predicted in any image.", va="center")
    return figure


def _grid(blocks: list[int], columns: int) -> tuple[Figure, list[list[list[Axes]]]]:
    """Lay out blocks of so many lines of square panels, as large as the page lets them be."""
    left, right, top, between, below = (MILLIMETRE * edge for edge in (9, 0.5, 8, 0.7, 4.2))
    lines = sum(blocks)
    margins = top + (lines + len(blocks) - 1) * below
    cell = (PAGE - left - right + between) / columns - between
    cell = min(cell, (PAGE_HEIGHT - margins) / lines)
    width, height = left + columns * (cell + between) - between + right, margins + lines * cell
    figure, y = plt.figure(figsize=(width, height)), height - top
    x = left + (cell + between) * np.arange(columns)
    grid = []
    for n in blocks:
        tops = y - (cell + below) * np.arange(n)
        grid.append([[_panel(figure, place, top - cell, cell) for place in x] for top in tops])
        y -= n * (cell + below) + below
    return figure, grid


def _panel(figure: Figure, x: float, y: float, side: float) -> Axes:
    width, height = figure.get_size_inches()
    ax = figure.add_axes([x / width, y / height, side / width, side / height])
    ax.set(xticks=[], yticks=[])
    sns.despine(ax=ax, left=True, bottom=True)
    return ax


def _case(axes: list[Axes], case: Case, palette: dict[str, str]) -> None:
    """Draw one line of :func:`examples`."""
    for ax in axes:
        ax.imshow(case.image)
        ax.xaxis.label.set_fontsize(6)
    axes[0].set_ylabel(case.rank, color=FAINT, labelpad=3)
    mark = "✓" if case.present else "✗"
    axes[0].set_xlabel(f"{case.target} {mark} {case.probability:.2f}", labelpad=2)
    outline(axes[1], case.truth, TRUTH)
    outline(axes[1], case.segmentation, SEGMENTATION)
    axes[1].set_xlabel(shorten(case.label, 20, placeholder=" …"), labelpad=2, color=FAINT)
    pairs = zip(axes[2::2], axes[3::2], palette.items(), strict=True)
    for original, refined, (explainer, colour) in pairs:
        saliency, scores = case.maps[explainer], case.scores.loc[explainer]
        _map(original, saliency, case.truth, colour)
        _map(refined, segx(saliency, case.segmentation), case.truth, colour)
        original.set_xlabel(
            rf"IoU {_score(scores.iou_original)}  $c_\mathrm{{IoU}}$ {_score(scores.c_iou)}",
            labelpad=2,
        )
        refined.set_xlabel(f"IoU {_score(scores.iou_segx)}", labelpad=2)


def _map(ax: Axes, saliency: np.ndarray, truth: np.ndarray, colour: str) -> None:
    """Draw a map on its image with the true outline and that of the map's top 5 %."""
    ax.imshow(saliency, cmap=RELEVANCE_MAP, vmin=0, vmax=1, alpha=RELEVANCE_OPACITY)
    outline(ax, truth, TRUTH, width=0.7)
    polygons = outlines(top_fraction(saliency))
    if polygons:
        # Hundreds of specks: one thin path, without the halo that would hide them.
        path = Path.make_compound_path(*map(Path, polygons))
        ax.add_patch(PathPatch(path, edgecolor=colour, facecolor="none", linewidth=0.5))


def _score(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def risk_coverage(scores: pd.DataFrame, titles: dict[str, str], rows: list[str]) -> Figure:
    """Error rate among the most confident predictions, for each confidence.

    Parameters
    ----------
    scores
        One row per prediction: dataset, row, present and the confidences; an undefined one is
        taken for 0, as Table 4 does.
    titles
        Printed name of each data set.
    rows
        Networks with their explainers, from left to right.

    Returns
    -------
    Figure
        One panel per data set and row, with the error rate and the curve that knows all errors.
        The mean height of a curve is its AURC.
    """
    use_style()
    size = (min(PAGE, COLUMN * max(1, len(rows) / 2)), (14 + 46 * len(titles)) * MILLIMETRE)
    figure, axes = plt.subplots(
        len(titles),
        len(rows),
        figsize=size,
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for line, (dataset, title) in zip(axes, titles.items(), strict=True):
        for ax, row in zip(line, rows, strict=True):
            ours = scores[(scores.dataset == dataset) & (scores.row == row)]
            errors = int((ours.present == 0).sum())
            counts = f"n = {len(ours):,}, {errors:,} errors"
            ax.set_title(f"{title}\n{printed_name(row)}\n{counts}", fontsize=6.5)
            _curves(ax, ours)
            ax.grid(color="#E5E5E5")
            sns.despine(ax=ax)
        curves = [curve for ax in line for curve in ax.lines]
        heights = [curve.get_ydata()[curve.get_xdata() >= SETTLED].max() for curve in curves]
        line[0].set(xlim=(0, 102), ylim=(-2, 1.05 * max(heights, default=0) + 2))
        line[0].set_ylabel("risk: errors among\naccepted, %")
    for ax in axes[-1]:
        ax.set_xlabel("coverage: accepted, %")
    _legend(figure, axes)
    return figure


def _curves(ax: Axes, scores: pd.DataFrame) -> None:
    """Draw one panel of :func:`risk_coverage`."""
    if scores.empty:
        ax.text(0.5, 0.5, "no label was\npredicted", transform=ax.transAxes, ha="center")
        return
    correct = (scores.present == 1).to_numpy()
    perfect = np.arange(len(correct), 0, -1)
    ax.plot(*_expected(perfect, np.sort(correct)[::-1]), color=FAINT, lw=0.8, label="ideal")
    for name in RANKED:
        look = CONFIDENCES[name]
        percent = _expected(scores[name].fillna(0).to_numpy(), correct)
        ax.plot(*percent, color=look.colour, linestyle=look.line, label=look.label)
    rate = 100 * (1 - correct.mean())
    ax.plot([0, 100], [rate, rate], color=INK, linestyle="--", linewidth=0.8, label="error rate")


def _expected(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Risk at every number of accepted predictions; among equal ones, in any order, its mean."""
    coverage, risk = selective.risk_coverage(confidence, correct)
    share = np.arange(1, len(correct) + 1) / len(correct)
    errors = np.interp(share, np.append(0, coverage), np.append(0, coverage * risk))
    return 100 * share, 100 * errors / share


def doses(
    table: pd.DataFrame,
    networks: pd.DataFrame,
    titles: dict[str, str],
    rows: list[str],
    segmenter: str,
) -> Figure:
    """What SegX gains and SegU tells as the segmentation gets worse.

    Parameters
    ----------
    table
        ``tables/segx_doses.csv``: dataset, row, kind, radius, dice, metric, value, ci_low, ci_high
        and n.
    networks
        ``tables/segx_networks.csv``, with the Dice of `segmenter`.
    titles
        Printed name of each data set.
    rows
        Networks with their explainers, from left to right.
    segmenter
        The study's own, whose Dice is marked.

    Returns
    -------
    Figure
        For each data set one line of panels per entry of `RESPONSES`, one curve per kind of damage
        from the true mask on.
    """
    use_style()
    height = min(40, (PAGE_HEIGHT / MILLIMETRE - 10) / (len(RESPONSES) * len(titles)))
    lines = list(product(titles, RESPONSES))
    size = (min(PAGE, COLUMN * max(1, len(rows) / 2)), (10 + height * len(lines)) * MILLIMETRE)
    figure, axes = plt.subplots(
        len(lines),
        len(rows),
        figsize=size,
        sharex=True,
        sharey="row",
        squeeze=False,
        layout="constrained",
    )
    for line, (dataset, metric) in zip(axes, lines, strict=True):
        name, neutral = RESPONSES[metric]
        line[0].set_ylabel(name)
        own = networks[(networks.dataset == dataset) & (networks.metric == "dice")]
        for ax, row in zip(line, rows, strict=True):
            chosen = table[(table.dataset == dataset) & (table.metric == metric)]
            _responses(ax, chosen[chosen.row == row])
            ax.axhline(neutral, color=INK, linestyle="--", linewidth=0.8)
            _own(ax, own[own.row == segmenter], f"mean Dice of {printed_name(segmenter)}")
            ax.grid(color="#E5E5E5")
            sns.despine(ax=ax)
            if metric == next(iter(RESPONSES)):
                ax.set_title(f"{titles[dataset]}\n{printed_name(row)}", fontsize=6.5)
    for ax in axes[-1]:
        ax.set(xlabel="Dice of the damaged mask", xlim=(-0.03, 1.03))
    _legend(figure, axes)
    return figure


def _responses(ax: Axes, table: pd.DataFrame) -> None:
    """Draw the curves of one panel of :func:`doses`, and its number of predictions."""
    for kind, look in DOSES.items():
        curve = table[table.kind.isin(["none", kind])].sort_values("radius")
        ax.fill_between(
            curve.dice, curve.ci_low, curve.ci_high, color=look.colour, alpha=0.15, linewidth=0
        )
        ax.plot(
            curve.dice,
            curve.value,
            color=look.colour,
            linestyle=look.line,
            marker=look.marker,
            markersize=2.6,
            label=look.label,
        )
    start = table[table.kind == "none"]
    ax.plot(start.dice, start.value, "D", color=INK, markersize=3.2, label="true mask")
    n = table.n.unique()
    if len(n):
        span = f"{n.min():,}" if len(n) == 1 else f"{n.min():,}–{n.max():,}"
        # A curve, or the segmenter's mark, may run behind it.
        ax.text(
            *(0.03, 0.95, f"n = {span}"),
            transform=ax.transAxes,
            va="top",
            fontsize=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
            zorder=5,
        )


def _own(ax: Axes, scores: pd.DataFrame, label: str) -> None:
    """Mark the mean Dice of the study's own segmenter with its interval."""
    for row in scores.itertuples():
        ax.axvspan(row.ci_low, row.ci_high, color=FAINT, alpha=0.2, linewidth=0)
        ax.axvline(row.value, color=FAINT, linewidth=1, label=label)


def _legend(figure: Figure, axes: np.ndarray) -> None:
    """Explain the curves of all panels once, below them, and line up the names of the axes."""
    handles = {}
    for ax in axes.flat:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.align_ylabels(axes[:, 0])
    columns = 2 if len(axes[0]) < 3 else 3
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=columns,
        handlelength=3,
    )
