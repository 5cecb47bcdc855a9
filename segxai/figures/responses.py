"""Figure kind `responses`: scores by the dose of damage to the segmentation."""

from textwrap import fill

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.layout import curve_grid, shared_legend
from segxai.figures.style import FAINT, INK, look

# Value at which a segmentation adds nothing, for the statistics that have one.
NEUTRAL = {"auroc": 0.5, "difference": 0.0}


def responses(
    table: pd.DataFrame,
    own: pd.DataFrame,
    datasets: dict[str, str],
    rows: dict[tuple[str, str], str],
    segmenter: str,
) -> Figure:
    """Draw scores against the Dice of the damaged mask, one curve per kind of damage.

    Parameters
    ----------
    table
        dataset, network, explainer, kind, radius, dice (of the damaged mask), column (title of
        what is drawn), statistic, value, ci_low, ci_high and n. Doses of radius 0 are the true
        mask, whatever their kind.
    own
        Dice of the study's own segmenter, which is marked: dataset, value, ci_low, ci_high.
    datasets, rows
        Printed names of the data sets, and of network and explainer (columns of panels).
    segmenter
        Printed name of the study's own segmenter.

    Returns
    -------
    Figure
        For each data set one line of panels per `column` of the table.
    """
    panels = dict(zip(table.column, table.statistic, strict=True))
    lines = [(dataset, *panel) for dataset in datasets for panel in panels.items()]
    figure, axes = curve_grid(len(lines), len(rows), 40, 10)
    kinds = list(dict.fromkeys(table.kind[table.radius > 0]))
    for line, (dataset, panel, statistic) in zip(axes, lines, strict=True):
        line[0].set_ylabel(fill(panel, 24))
        of_panel = table[(table.dataset == dataset) & (table.column == panel)]
        for ax, ((network, explainer), name) in zip(line, rows.items(), strict=True):
            chosen = (of_panel.network == network) & (of_panel.explainer == explainer)
            _curves(ax, of_panel[chosen], kinds)
            if statistic in NEUTRAL:
                ax.axhline(NEUTRAL[statistic], color=INK, linestyle="--", linewidth=0.8)
            for mark in own[own.dataset == dataset].itertuples():
                ax.axvspan(mark.ci_low, mark.ci_high, color=FAINT, alpha=0.2, linewidth=0)
                ax.axvline(mark.value, color=FAINT, linewidth=1, label=f"mean Dice of {segmenter}")
            if panel == table.column.iloc[0]:
                ax.set_title(f"{datasets[dataset]}\n{name}", fontsize=6.5)
    for ax in axes[-1]:
        ax.set(xlabel="Dice of the damaged mask", xlim=(-0.03, 1.03))
    shared_legend(figure, axes)
    return figure


def _curves(ax: Axes, table: pd.DataFrame, kinds: list[str]) -> None:
    """Draw the curves of one panel of :func:`responses`, and its number of predictions."""
    for place, kind in enumerate(kinds):
        curve = table[(table.radius == 0) | (table.kind == kind)].sort_values("radius")
        colour, line, marker = look(place)
        ax.fill_between(
            curve.dice, curve.ci_low, curve.ci_high, color=colour, alpha=0.15, linewidth=0
        )
        style = {"color": colour, "linestyle": line, "marker": marker, "markersize": 2.6}
        ax.plot(curve.dice, curve.value, label=kind, **style)
    start = table[table.radius == 0]
    ax.plot(start.dice, start.value, "D", color=INK, markersize=3.2, label="true mask")
    n = table.n.unique()
    if len(n):
        span = f"{n.min():,.0f}" if len(n) == 1 else f"{n.min():,.0f}–{n.max():,.0f}"
        # A curve or the segmenter's mark may lie behind the text.
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}
        style = {"transform": ax.transAxes, "va": "top", "fontsize": 6, "bbox": box, "zorder": 5}
        ax.text(0.03, 0.95, f"n = {span}", **style)
