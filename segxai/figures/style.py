"""Style of all figures: sizes, type and colours; files are identical byte for byte."""

import logging
from os import PathLike
from typing import NamedTuple

import matplotlib as mpl
import matplotlib.style
from matplotlib.figure import Figure

from segxai.job.files import atomic_path

MILLIMETRE = 1 / 25.4
COLUMN, PAGE = 86 * MILLIMETRE, 178 * MILLIMETRE
# With room for a caption.
PAGE_HEIGHT = 220 * MILLIMETRE
DPI = 200

# Okabe & Ito's colours (jfly.uni-koeln.de/color), distinct for every kind of colour vision; methods
# take them by their role in the study, controls are grey. A role with more methods than colours
# repeats the colours, and position distinguishes its rows. Explainers are outlined on dark maps.
PALETTE = {
    "variant": ["#E69F00", "#009E73", "#CC79A7", "#56B4E9"],
    "control": ["#7F7F7F", "#B5B5B5"],
    "baseline": ["#D55E00", "#0072B2", "#F0E442"],
    "explainer": ["#33DDFF", "#66FF99", "#7F66FF"],
}
OTHER_ROLES = ["#D55E00", "#0072B2", "#009E73", "#E69F00"]


class Look(NamedTuple):
    """Look of a curve that distinguishes it within its figure, also in print without colour."""

    colour: str
    line: str | tuple
    marker: str


# Curves never share a figure with the methods above, so they take the same colours.
LOOKS = [
    Look("#D55E00", "-", "o"),
    Look("#0072B2", (0, (4, 1.2, 1, 1.2)), "s"),
    Look("#009E73", (0, (1.2, 1)), "^"),
    Look("#E69F00", (0, (5, 1.2)), "v"),
    Look("#56B4E9", (0, (4, 1.2, 1, 1.2, 1, 1.2)), "D"),
]
TRUTH, SEGMENTATION = "#FFFFFF", "#E69F00"
INK, FAINT = "#222222", "#8A8A8A"
# Perceptually uniform, also in grey print.
RELEVANCE_MAP = "inferno"

STYLE = {
    "font.family": "DejaVu Sans", "font.size": 7, "axes.titlesize": 7.5, "axes.labelsize": 7,
    "xtick.labelsize": 6.5, "ytick.labelsize": 6.5, "legend.fontsize": 6.5,
    "axes.linewidth": 0.6, "axes.edgecolor": INK, "axes.labelcolor": INK,
    # A $ in a title is a plain character.
    "text.parse_math": False,
    "text.color": INK, "xtick.color": INK, "ytick.color": INK, "grid.linewidth": 0.4,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True,
    "lines.linewidth": 1.2, "lines.markersize": 4.8, "lines.solid_capstyle": "round",
    "patch.linewidth": 0.8, "patch.edgecolor": "white", "patch.force_edgecolor": True,
    "legend.frameon": False, "figure.dpi": DPI, "savefig.dpi": DPI,
    # Text stays text in the PDF (TrueType), as journals require.
    "pdf.fonttype": 42, "svg.hashsalt": "segxai",
}  # fmt: skip


def use_style() -> None:
    """Set the style of all figures drawn from now on, whatever the machine's settings."""
    mpl.use("agg")
    # The library logs every glyph that it drops from a PDF.
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    mpl.style.use(["default", STYLE])


def colours(roles: dict[str, str]) -> dict[str, str]:
    """Colour of each method by its role and place there, the same in every figure."""
    places: dict[str, int] = {}
    shades = {}
    for method, role in roles.items():
        palette, place = PALETTE.get(role, OTHER_ROLES), places.get(role, 0)
        shades[method], places[role] = palette[place % len(palette)], place + 1
    return shades


def look(place: int) -> Look:
    """Look of the curve at a place in its figure; the `LOOKS` repeat."""
    return LOOKS[place % len(LOOKS)]


def save(figure: Figure, *paths: str | PathLike) -> None:
    """Write a figure as PNG or PDF, by the suffix of each path, without the date of the day."""
    for output in paths:
        with atomic_path(output) as path:
            # By default a PDF holds the date of its making; a PNG has no such field.
            metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
            figure.savefig(path, metadata=metadata)
