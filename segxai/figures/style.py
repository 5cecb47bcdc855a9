"""One look for all figures: sizes, type, colours, and files that are equal byte for byte."""

import logging
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

MILLIMETRE = 1 / 25.4
COLUMN, PAGE = 86 * MILLIMETRE, 178 * MILLIMETRE
# With room for a caption.
PAGE_HEIGHT = 220 * MILLIMETRE
DPI = 200

# Okabe & Ito's colours (jfly.uni-koeln.de/color), told apart with every kind of colour vision, for
# methods by their role in the study; greys for controls. Explainers are outlined on dark maps.
PALETTE = {
    "variants": ["#E69F00", "#009E73", "#CC79A7", "#56B4E9"],
    "controls": ["#7F7F7F", "#B5B5B5"],
    "baselines": ["#D55E00", "#0072B2", "#F0E442"],
    "explainers": ["#33DDFF", "#66FF99", "#7F66FF"],
}


class Look(NamedTuple):
    """How a curve is told from the others of its figure, in print without colour as well."""

    label: str
    colour: str
    line: str | tuple = "-"
    marker: str = ""


# Curves share no figure with the methods above, and so take the same colours.
CONFIDENCES = {
    "c_iou": Look(r"$c_\mathrm{IoU}$ (SegU)", "#D55E00"),
    "c_auitc": Look(r"$c_\mathrm{AUITC}$ (SegU)", "#E69F00", (0, (5, 1.2))),
    "maximum_probability": Look("maximum probability", "#0072B2", (0, (4, 1.2, 1, 1.2))),
    "segmentation_confidence": Look("segmenter's confidence", "#009E73", (0, (1.2, 1))),
    "entropy": Look("entropy", "#56B4E9", (0, (4, 1.2, 1, 1.2, 1, 1.2))),
}
DOSES = {
    "erode": Look("eroded", "#0072B2", "-", "o"),
    "dilate": Look("dilated", "#D55E00", (0, (5, 1.2)), "s"),
    "shift": Look("shifted", "#009E73", (0, (1.2, 1)), "^"),
}
# Names of networks and explainers in the configuration, as papers print them.
NAMES = {
    "densenet121": "DenseNet-121",
    "gradcam": "Grad-CAM",
    "resnet50": "ResNet-50",
    "shap": "SHAP",
    "unet": "U-Net",
}
TRUTH, SEGMENTATION = "#FFFFFF", "#E69F00"
INK, FAINT = "#222222", "#8A8A8A"
# Perceptually uniform, and readable in print without colour.
RELEVANCE_MAP = "inferno"

STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    # Text stays text in the PDF (TrueType), as journals ask.
    "pdf.fonttype": 42,
    "svg.hashsalt": "segxai",
}


def use_style() -> None:
    """Give all figures drawn from now on the house style, whatever the machine's display."""
    mpl.use("agg")
    # It tells of every glyph that a PDF does without.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    sns.set_theme(context="paper", style="ticks", rc=STYLE)


def colours(roles: dict[str, list[str]]) -> dict[str, str]:
    """Give each method its colour by its role and its place there, the same in every figure.

    Parameters
    ----------
    roles
        Printed names of the methods by role, a key of `PALETTE`.

    Raises
    ------
    ValueError
        If a role has more methods than colours that can be told apart.
    """
    shades = {}
    for role, rows in roles.items():
        palette = PALETTE[role]
        if len(rows) > len(palette):
            raise ValueError(f"{len(rows)} {role} need colours, but only {len(palette)} differ.")
        shades |= zip(rows, palette, strict=False)
    return shades


def printed_name(row: str) -> str:
    """Print a network, an explainer, or a row that is named after both."""
    return " ".join(NAMES.get(word, word) for word in row.split())


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or PDF, by the suffix of `path`, without the date of the day."""
    # A PDF states when it was made unless told not to; a PNG has no such field.
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
    figure.savefig(path, metadata=metadata)
