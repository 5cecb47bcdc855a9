"""Tables as papers print them: rows down, data sets and numbers across; Markdown and LaTeX."""

import numpy as np
import pandas as pd

from segxai.job.files import atomic_path
from segxai.job.log import log
from segxai.stats.cells import CELL, describe
from segxai.workflow.studies import values

DECIMALS = {"percent": 1, "fraction": 3, "count": 0}


def printed(
    table: pd.DataFrame, spec: dict, titles: dict[str, str], names: dict[str, dict[str, str]]
) -> pd.DataFrame:
    """Lay a tidy table out as papers print it, for the first of its subsets of the images.

    Values with a ``title`` are printed; all of them where none has one. `titles` are the printed
    names of data sets, `names` those of networks, explainers and segmenters by key. Cells have the
    form ``41.4 [39.0, 43.9]``, and after a semicolon the published value, and how many maps have no
    contrast, if any.
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
    """Print a table that :func:`printed` laid out as Markdown."""
    return layout.to_markdown(disable_numparse=True) + "\n"


def value_titles(spec: dict) -> dict[tuple[str, ...], str]:
    """Title of each printed column by its `CELL`, in order."""
    declared = [*({"metric": name} for name in spec["predictions"]), *spec["values"]]
    titles = {}
    for value in [value for value in declared if "title" in value] or declared:
        several = [key for key in value if isinstance(value[key], list)]
        for chosen in values({"values": [value]}):
            parts = [chosen["title"], *map(chosen.get, several)] if "title" in chosen else []
            key = tuple(describe(chosen)[name] for name in CELL)
            titles[key] = " ".join(parts) or _untitled(chosen)
    return titles


def row_title(keys: dict, rows: list[str], names: dict[str, dict[str, str]]) -> str:
    """Name a row by the printed names of the keys that tell rows apart."""
    return " ".join(names.get(key, {}).get(keys[key], keys[key]) for key in rows if keys[key])


def latex(layout: pd.DataFrame, columns: str | None = None) -> str:
    """Print a table that :func:`printed` laid out for LaTeX with booktabs.

    `columns` is LaTeX's description of the columns, for instance of ones that break lines.
    """
    # The index is named in the line of the columns' names, not in a line of its own.
    named = layout.rename_axis(index=None, columns=layout.index.name)
    style = named.style.format(escape="latex")
    for axis in ("index", "columns"):
        style = style.format_index(escape="latex", axis=axis)
    return style.to_latex(hrules=True, column_format=columns)


def write_printed(texts: dict[str, str]) -> None:
    """Write printed tables to their files in UTF-8, each whole or not at all, and log the first."""
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    for line in next(iter(texts.values())).splitlines():
        log.info(line)


def _untitled(value: dict) -> str:
    """Name a value that has no title by what tells it from others."""
    cell = describe(value) | {"where": value.get("where", "")}
    if cell["statistic"] == "mean":
        cell["statistic"] = ""
    joined = {"with": "and ", "minus": "minus ", "against": "against "}
    order = ("statistic", "metric", "with", "view", "minus", "reference", "where", "against")
    return " ".join(joined.get(key, "") + cell[key] for key in order if cell[key])


def _cell(row) -> str:
    if np.isnan(row.value):
        return f"undefined{constant_maps(row.n_constant)}"
    numbers = (row.value, row.ci_low, row.ci_high, row.published)
    value, low, high, published = (f"{number:.{DECIMALS[row.unit]}f}" for number in numbers)
    interval = f" [{low}, {high}]" if np.isfinite(row.ci_low) else ""
    beside = f"; paper {published}" if np.isfinite(row.published) else ""
    return f"{value}{interval}{beside}{constant_maps(row.n_constant)}"


def constant_maps(n: float) -> str:
    """Say how many of the maps behind a number are constant; nothing where none is."""
    return f"; {n:.0f} constant maps" if n > 0 else ""
