"""Files of a study: complete files only, and tables and JSON read with clear errors."""

import codecs
import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from segxai.job.log import InputError, reason
from segxai.workflow.names import name_key, plain

# Columns of this study's tables that stay text even if they look like numbers.
TEXT_COLUMNS = {
    **dict.fromkeys(
        ("paper", "study", "table", "dataset", "network", "explainer", "segmenter"), str
    ),
    **dict.fromkeys(("view", "reference", "metric", "statistic", "where", "with", "minus"), str),
    **dict.fromkeys(("unit", "target_id", "image_id", "group", "split", "kind", "label"), str),
    **dict.fromkeys(("region", "class", "rank"), str),
}

REMAKE = "delete it and run again"
RESTORE = "replace it by an intact copy"

# The longer mark comes first, because it begins with the shorter one.
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
SEPARATORS = ",;\t|"


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` only when the block succeeds.

    The suffix is kept for writers that depend on it (NumPy, matplotlib). The next process
    overwrites the remains of a killed one. Two processes must not write one file at the same time;
    Snakemake's lock sees to that.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.new{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: Path, remedy: str = f"save it as UTF-8, or {RESTORE}") -> str:
    """Read a data set's own text: UTF-8, or the encoding of its byte order mark."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it from the original.") from None
    encoding = next((MARKS[mark] for mark in MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
        # UTF-16 without its mark, or a file without text.
        if "\0" in text:
            raise ValueError("it holds bytes of 0")
    except ValueError as error:
        raise InputError(f"{path}: is not text in UTF-8 ({reason(error)}); {remedy}.") from None
    return text


def read_table(path: Path, columns: Sequence[str], unique: bool = True) -> pd.DataFrame:
    """Read columns of a data set's own table; each cell is its visible text.

    The table is any usual CSV, with a comma, semicolon, tab or bar between cells. The case of
    column names does not matter; blanks around names and cells, and lines without text, are ignored
    (:func:`segxai.workflow.names.plain`).

    Parameters
    ----------
    columns : sequence of str
        Columns that must be there and have text in each line.
    unique : bool
        Whether the first of `columns` names the lines: names must then differ
        (:func:`segxai.workflow.names.name_key`).

    Raises
    ------
    InputError
        If the file is not such a table; names the faulty line, if there is one.
    """
    text = read_text(path)
    separator = max(SEPARATORS, key=lambda mark: _known(path, text, mark, columns))
    lines = _lines(path, text, separator)
    _, header = next(lines, (1, []))
    places = [_place(path, header, name) for name in columns]
    rows: dict[int, list[str]] = {}
    line_of: dict[str, int] = {}
    for line, cells in lines:
        if any(cells[len(header) :]):
            raise InputError(f"{path}: line {line} has more cells than its header; {RESTORE}.")
        rows[line] = [cells[place] if place < len(cells) else "" for place in places]
        name, key = rows[line][0], name_key(rows[line][0])
        for column, cell in zip(columns, rows[line], strict=True):
            if not cell or "\n" in cell:
                problem = "holds a line break" if cell else "is empty"
                raise InputError(
                    f"{path}: line {line} is incomplete, its '{column}' {problem}; fill it in, or "
                    "replace the table by an intact copy."
                )
        if unique and line_of.setdefault(key, line) != line:
            raise InputError(
                f"{path}: lines {line_of[key]} and {line} are both of '{name}'; keep one of them."
            )
    if not rows:
        raise InputError(f"{path}: line 2 is incomplete, nothing follows the header; {RESTORE}.")
    return pd.DataFrame(list(rows.values()), columns=list(columns))


def _known(path: Path, text: str, separator: str, columns: Sequence[str]) -> int:
    """Number of some columns that a table has with this separator."""
    with contextlib.suppress(InputError):
        _, header = next(_lines(path, text, separator), (1, []))
        return len({*map(name_key, columns)} & {*map(name_key, header)})
    return 0


def _place(path: Path, header: Sequence[str], column: str) -> int:
    """Index of a column by its name."""
    places = [k for k, name in enumerate(header) if name_key(name) == name_key(column)]
    if not places:
        raise InputError(
            f"{path}: has no column '{column}' (it has {', '.join(header) or 'nothing'}); add it, "
            "or replace the table by the original."
        )
    if len(places) > 1:
        raise InputError(f"{path}: has two columns '{column}'; remove or rename one of them.")
    return places[0]


def _lines(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each line that holds text; a cell in quotes may hold several lines."""
    # All line ends become the same; a blank before a quote is allowed.
    rows = csv.reader(
        io.StringIO(text, newline=None), delimiter=separator, skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for row in rows:
            # A line break within a cell often means an unclosed quote.
            cells = ["\n".join(map(plain, cell.strip().split("\n"))) for cell in row]
            if any(cells):
                yield line, cells
            line = rows.line_num + 1
    except csv.Error as error:
        raise InputError(
            f"{path}: cannot be read as CSV from line {line} on ({reason(error)}); {RESTORE}."
        ) from None


def read_json(path: Path, remedy: str = RESTORE) -> object:
    """Read a data set's own JSON file."""
    text = read_text(path, remedy)
    try:
        return json.loads(text)
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: is not complete JSON ({reason(error)}); {remedy}.") from None


def read_facts(path: str | Path) -> dict:
    """Read a JSON file of this study, such as a receipt."""
    facts = read_json(Path(path), REMAKE)
    if not isinstance(facts, dict):
        raise InputError(f"{path}: is not a JSON object; {REMAKE}.")
    return facts


def read_rows(path: str | Path) -> pd.DataFrame:
    """Read a table of this study with one row per image; names stay text, even '0012' and 'NA'.

    An empty cell is NaN: an undefined score.
    """
    return _parse(path, REMAKE, dtype=TEXT_COLUMNS)


def _parse(path: str | Path, remedy: str, dtype: object) -> pd.DataFrame:
    """Read a CSV file in UTF-8; only an empty cell is a missing value."""
    try:
        table = pd.read_csv(path, dtype=dtype, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it from the original.") from None
    except ValueError as error:  # pandas' own errors are subclasses
        raise InputError(f"{path}: is not a CSV table ({reason(error)}); {remedy}.") from None
    # With more cells than names, pandas would shift the columns.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"{path}: its rows have more cells than its header; {remedy}.")
    return table


def read_scores(files: Sequence[str | Path]) -> pd.DataFrame:
    """Read tidy score files one after the other; each row carries its own keys.

    Keys are text, empty where they do not apply; ``seed`` int; ``correct``, ``constant`` and
    ``value`` float.
    """
    scores = pd.concat(map(read_rows, files), ignore_index=True)
    keys = [name for name in scores if name in TEXT_COLUMNS]
    scores[keys] = scores[keys].fillna("")
    # Without rows, pandas cannot infer number types.
    return scores.astype({"seed": int, "correct": float, "constant": float, "value": float})


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table without its index, complete or not at all; numbers with nine digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")


def write_json(path: str | os.PathLike, facts: object) -> None:
    """Write facts as indented JSON, complete or not at all."""
    with atomic_path(path) as temporary:
        text = json.dumps(facts, ensure_ascii=False, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
