"""Figure kind `training`: loss and validation score of networks by epoch."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from segxai.figures.style import FAINT, INK, MILLIMETRE, PAGE, PAGE_HEIGHT, use_style

# For each loss of a network: its printed name, the score drawn beside it, and the score's name.
CURVES = {
    "cross_entropy": ("cross-entropy loss", "accuracy", "accuracy of patches"),
    "bce": ("binary\ncross-entropy loss", "f1", "macro F1"),
    "paper_code": ("cross-entropy loss\nof sigmoids", "f1", "macro F1"),
    "segmentation": ("cross-entropy +\nDice loss", "dice", "Dice"),
}


def training(networks: list[tuple[str, str, list[pd.DataFrame]]]) -> Figure:
    """Draw loss and validation score by epoch, with the epoch that was kept.

    Parameters
    ----------
    networks
        Title, loss (a key of `CURVES`) and one table per seed of each network: epoch, train_loss,
        validation_loss and the loss's score, such as validation_accuracy.

    Returns
    -------
    Figure
        One line of two panels per network; every seed is a curve.
    """
    use_style()
    height = min(48, PAGE_HEIGHT / MILLIMETRE / len(networks))
    size = (PAGE, len(networks) * height * MILLIMETRE)
    figure, axes = plt.subplots(len(networks), 2, figsize=size, squeeze=False, layout="constrained")
    for (left, right), (title, loss, histories) in zip(axes, networks, strict=True):
        loss_name, score, score_name = CURVES[loss]
        for history in histories:
            best = history.loc[history.validation_loss.idxmin()]
            style = {"color": FAINT, "linestyle": "--", "label": "training loss"}
            left.plot(history.epoch, history.train_loss, **style)
            _curve(left, history.epoch, history.validation_loss, best, "validation loss")
            percent = 100 * history[f"validation_{score}"]
            _curve(right, history.epoch, percent, best, "validation score")
        left.set(ylabel=loss_name, ylim=(0, None), title=title)
        right.set(ylabel=f"{score_name}, %", title=title)
        for ax in (left, right):
            ax.grid(axis="y", color="#E5E5E5")
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
