"""Tables as papers print them: rows down, data sets and numbers across; Markdown and LaTeX."""

import re

import numpy as np
import pandas as pd

from segxai.job.files import atomic_path
from segxai.job.log import log
from segxai.workflow.names import plain
from segxai.workflow.shown import CELL, row_title, value_titles

DECIMALS = {"percent": 1, "fraction": 3, "count": 0}
# What Markdown would take for the end of a cell, a tag, a formula, emphasis, an entity or a link.
MARKS = re.compile(r"[|*`~$\\]|<(?=[\w/!?])|&(?=#?\w+;)|\](?=\()|(?<!\w)_|_(?!\w)")
ESCAPES = str.maketrans({
    **{code: f"\\{code}" for code in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
})  # fmt: skip


def printed(
    table: pd.DataFrame, spec: dict, titles: dict[str, str], names: dict[str, dict[str, str]]
) -> pd.DataFrame:
    """Lay a tidy table out as papers print it, for the first of its subsets of the images.

    Values with a ``title`` are printed; all of them where none has one. `titles` are the printed
    names of data sets, `names` those of networks, explainers and segmenters by key. Cells have the
    form ``41.4 [39.0, 43.9]``, and after a semicolon the published value.
    """
    columns = value_titles(spec)
    described = list(table[CELL].itertuples(index=False, name=None))
    shown = table.assign(
        column=[columns.get(cell, "") for cell in described],
        row=[row_title(row, spec["rows"], names) for row in table.to_dict("records")],
    )
    shown = shown[(shown.column != "") & (shown.split == spec["splits"][0])]
    across = shown.dataset.map(titles) + ", " + shown.column
    cells = shown.assign(cell=[_cell(row) for row in shown.itertuples()], column=across)
    wide = cells.pivot(index="row", columns="column", values="cell").fillna("")
    wide = wide.loc[shown.row.unique(), across.unique()]
    return wide.rename_axis(index="Method", columns=None)


def markdown(layout: pd.DataFrame) -> str:
    """Print a table that :func:`printed` laid out as Markdown, which shows it as it is."""

    def text(cell: str) -> str:
        return MARKS.sub(r"\\\g<0>", plain(cell))

    table = layout.map(text).rename(index=text, columns=text)
    return table.to_markdown(disable_numparse=True) + "\n"


def latex(layout: pd.DataFrame, columns: str | None = None) -> str:
    """Print a table that :func:`printed` laid out for LaTeX with booktabs.

    `columns` is LaTeX's description of the columns, for instance of ones that break lines.
    """
    # The index is named in the line of the columns' names, not in a line of its own.
    named = layout.rename_axis(index=None, columns=layout.index.name)
    style = named.style.format(_latex_text)
    for axis in ("index", "columns"):
        style = style.format_index(_latex_text, axis=axis)
    return style.to_latex(hrules=True, column_format=columns)


def _latex_text(cell: str) -> str:
    """Escape a text for LaTeX, whatever its fonts; after a line's end, [ and * are commands."""
    text = plain(cell).translate(ESCAPES).replace("--", "-{}-")
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def write_printed(texts: dict[str, str]) -> None:
    """Write printed tables to their files in UTF-8, each whole or not at all, and log the first."""
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for line in next(iter(texts.values())).splitlines():
        log.info(line)


def _cell(row) -> str:
    if np.isnan(row.value):
        return "undefined"
    numbers = (row.value, row.ci_low, row.ci_high, row.published)
    value, low, high, published = (f"{number:.{DECIMALS[row.unit]}f}" for number in numbers)
    interval = f" [{low}, {high}]" if np.isfinite(row.ci_low) else ""
    beside = f"; paper {published}" if np.isfinite(row.published) else ""
    return f"{value}{interval}{beside}"
