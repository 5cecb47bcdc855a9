"""Printed tables for papers: rows down, data sets and numbers across; Markdown and LaTeX."""

import re

import numpy as np
import pandas as pd

from segxai.job.files import atomic_path
from segxai.job.log import log
from segxai.stats.tables import KEYS
from segxai.workflow.names import plain
from segxai.workflow.shown import CELL, row_title, value_titles
from segxai.workflow.studies import MEASURE

DECIMALS = {"percent": 1, "fraction": 3, "count": 0}
# Characters of Markdown: end of a cell, tag, formula, emphasis, entity, link.
MARKS = re.compile(r"[|*`~$\\]|<(?=[\w/!?])|&(?=#?\w+;)|\](?=\()|(?<!\w)_|_(?!\w)")
ESCAPES = str.maketrans({
    **{code: f"\\{code}" for code in "&%$#_{}"},
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "|": r"\textbar{}", "<": r"\textless{}", ">": r"\textgreater{}",
})  # fmt: skip


def printed(
    table: pd.DataFrame, spec: dict, titles: dict[str, str], names: dict[str, dict[str, str]]
) -> pd.DataFrame:
    """Lay out a tidy table for papers, for the first of its subsets of the images.

    Values with a ``title`` are printed; without any title, all values. `titles` are the printed
    names of data sets, `names` those of networks, explainers and segmenters by key. Cells have the
    form ``41.4 [39.0, 43.9]``, and after a semicolon the published value, and the number of maps
    without contrast, if any. A column n follows the columns with that number of images.
    """
    shown = printed_rows(table, spec, names)
    shown = shown.assign(cell=[_cell(row) for row in shown.itertuples()])
    by_column = dict(list(shown.set_index("row").groupby(["dataset", "column"])))
    across = [pd.DataFrame(index=shown.row.unique())]
    for dataset in shown.dataset.unique():
        for group in same_images(shown):
            own = [by_column[dataset, name] for name in group if (dataset, name) in by_column]
            of_group = [(part.column.iloc[0], part.cell) for part in own]
            of_group += [("n", part.n.map("{:,.0f}".format)) for part in own[:1]]
            across += [cells.rename(f"{titles[dataset]}, {name}") for name, cells in of_group]
    return pd.concat(across, axis=1).fillna("").rename_axis(index="Method")


def printed_rows(table: pd.DataFrame, spec: dict, names: dict[str, dict[str, str]]) -> pd.DataFrame:
    """Printed rows of a tidy table, with the titles of their ``row`` and ``column``.

    They belong to the first subset of the images. A row of an agreement is named by the ``other``
    value, too. A mean over no image of a data set, such as false
    positives where every image shows a finding, is left out, unless the data set has no other.
    """
    columns = value_titles(spec)
    others = {" ".join(filter(None, cell[: len(MEASURE)])): name for cell, name in columns.items()}
    names = names | {"other": others}
    table = table.assign(
        column=[columns.get(cell, "") for cell in table[CELL].itertuples(index=False, name=None)],
        row=[row_title(row, [*spec["rows"], "other"], names) for row in table.to_dict("records")],
    )
    table = table[(table.column != "") & (table.split == spec["splits"][0])]
    counted = table.groupby(["dataset", "column"])[["n", "n_undefined"]].transform("max")
    kept = (counted.n > 0) | ~(counted.n_undefined > 0) | (table.statistic != "mean")
    return table[kept | ~kept.groupby(table.dataset).transform("any")]


def in_blocks(
    table: pd.DataFrame, spec: dict, titles: dict[str, str], names: dict[str, dict[str, str]]
) -> pd.DataFrame:
    """Printed rows of a tidy table as it lies on disk, in blocks for a figure.

    A block has one data set, and one value of each key of ``rows`` but the last, which alone names
    its rows; its title is in the column ``block``.
    """
    keys = table.columns.intersection([*KEYS, "other", *CELL])
    table = table.assign(**table[keys].astype(object).fillna(""))
    shown = printed_rows(table, spec | {"rows": spec["rows"][-1:]}, names)
    shared = [row_title(row, spec["rows"][:-1], names) for row in shown.to_dict("records")]
    pairs = zip(shown.dataset.map(titles), shared, strict=True)
    return shown.assign(block=[", ".join(filter(None, pair)) for pair in pairs])


def same_images(shown: pd.DataFrame) -> list[list[str]]:
    """Group neighbouring columns of :func:`printed_rows` that have the same n in every row."""
    n = shown.pivot(index=["dataset", "row"], columns="column", values="n")
    groups: list[list[str]] = []
    for column in shown.column.unique():
        if groups and n[groups[-1][0]].equals(n[column]):
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups


def markdown(layout: pd.DataFrame) -> str:
    """Print a table of :func:`printed` as Markdown."""

    def text(cell: str) -> str:
        return MARKS.sub(r"\\\g<0>", plain(cell))

    table = layout.map(text).rename(index=text, columns=text)
    return table.to_markdown(disable_numparse=True) + "\n"


def latex(layout: pd.DataFrame, columns: str | None = None) -> str:
    """Print a table of :func:`printed` as LaTeX with booktabs.

    `columns` is LaTeX's description of the columns, for instance for line breaks.
    """
    # The name of the index stands in the line of the column names.
    named = layout.rename_axis(index=None, columns=layout.index.name)
    style = named.style.format(_latex_text)
    for axis in ("index", "columns"):
        style = style.format_index(_latex_text, axis=axis)
    return style.to_latex(hrules=True, column_format=columns)


def _latex_text(cell: str) -> str:
    """Escape a text for LaTeX, for all fonts; after the end of a line, [ and * are commands."""
    text = plain(cell).translate(ESCAPES).replace("--", "-{}-")
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def write_printed(texts: dict[str, str]) -> None:
    """Write printed tables to their files in UTF-8, each complete, and log the first."""
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for line in next(iter(texts.values())).splitlines():
        log.info(line)


def _cell(row) -> str:
    if np.isnan(row.value):
        return f"undefined{constant_maps(row.n_constant)}"
    numbers = (row.value, row.ci_low, row.ci_high, row.published)
    value, low, high, published = (f"{number:.{DECIMALS[row.unit]}f}" for number in numbers)
    interval = f" [{low}, {high}]" if np.isfinite(row.ci_low) else ""
    beside = f"; paper {published}" if np.isfinite(row.published) else ""
    return f"{value}{interval}{beside}{constant_maps(row.n_constant)}"


def constant_maps(n: float) -> str:
    """Number of constant maps behind a number, as text; empty if none."""
    return f"; {n:.0f} constant maps" if n > 0 else ""
