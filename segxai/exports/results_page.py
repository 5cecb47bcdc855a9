"""Tables of finished runs in a page of Markdown, each with the run that it is from.

    python -m segxai.exports.results_page docs/results.md runs

The page marks the place of a table by ``<!-- table: RUN TABLE -->`` and ``<!-- end -->``. RUN is a
folder of ``runs``, the ``--directory`` of a run, and TABLE a table in its ``results/tables``: as it
is printed, or after ``<!-- table: RUN TABLE STATISTIC -->`` all its numbers of a statistic.
"""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from segxai.job.files import atomic_path, read_text
from segxai.job.log import InputError

START = "<!-- table:"
MARK = rf"({START} (\S+) (\S+)(?: (\w+))? -->\n)"
PLACE = re.compile(rf"{MARK}((?:(?!{START}).)*?)(<!-- end -->)", re.DOTALL)
COLUMNS = ["dataset", "network", "explainer", "metric", "with", "n", "value", "ci_low", "ci_high"]


def fill(page: Path, runs: Path) -> list[str]:
    """Put the tables of runs into a page; one that no run has stays, and a sentence says so.

    Raises
    ------
    InputError
        If the page does not exist, or the mark of a table lacks its end.
    """
    kept: list[str] = []

    def replace(place: re.Match) -> str:
        mark, run, name, statistic, earlier, end = place.groups()
        try:
            table = described(runs / run, name, statistic)
        except FileNotFoundError as error:
            kept.append(f"{error.filename}: no such file; '{run} {name}' keeps its earlier table.")
            table = earlier
        return f"{mark}{table}{end}"

    text = read_text(page)
    filled, places = PLACE.subn(replace, text)
    if places != text.count(START):
        count = text.count(START)
        raise InputError(f"{page}: {places} of {count} marks of tables are whole; mend the others.")
    with atomic_path(page) as path:
        path.write_text(filled, encoding="utf-8")
    return kept


def described(folder: Path, name: str, statistic: str | None) -> str:
    """Print a table of a run, or its numbers of a statistic, below what the run was."""
    file = folder / f"results/tables/{name}.{'csv' if statistic else 'md'}"
    text = file.read_text(encoding="utf-8")
    if statistic:
        rows = pd.read_csv(file, dtype={"n": str}).query("statistic == @statistic")[COLUMNS]
        rows = rows.dropna(axis="columns", how="all").fillna("")
        text = rows.to_markdown(index=False, floatfmt=".3f") + "\n"
    run = json.loads((folder / "results/run.json").read_text(encoding="utf-8"))
    summary = pd.read_csv(file.with_name("dataset_summary.csv"))
    used = summary[(summary.row == "total") & (summary.metric == "images")].itertuples()
    images = ", ".join(f"{row.dataset} {row.value:.0f}" for row in used)
    day = datetime.fromtimestamp(file.stat().st_mtime, UTC).date().isoformat()
    overlays = ", ".join(run["overlays"]) or "none"
    facts = f"overlays: {overlays}; images: {images}; revision {run['revision'] or 'unknown'}"
    # Columns are padded for readers of the file itself.
    text = re.sub("-{4,}", "---", re.sub(" {2,}", " ", text))
    return f"Run `{folder.name}` of {day}; {facts}; {run['machine']}.\n\n{text}"


if __name__ == "__main__":
    try:
        sys.exit("\n".join(fill(*map(Path, sys.argv[1:]))) or None)
    except InputError as error:
        sys.exit(str(error))
