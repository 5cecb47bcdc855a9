"""Files of a study: written whole or not at all, and tables and JSON read with clear errors."""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from segxai.job.log import InputError, reason

# Columns of this study's tables that are text, also where they look like numbers.
TEXT_COLUMNS = {
    **dict.fromkeys(
        ("paper", "study", "table", "dataset", "network", "explainer", "segmenter"), str
    ),
    **dict.fromkeys(("view", "reference", "metric", "statistic", "where", "with", "minus"), str),
    **dict.fromkeys(("unit", "target_id", "image_id", "group", "split", "kind", "label"), str),
    **dict.fromkeys(("region", "class", "rank"), str),
}

REMAKE = "delete it and run again to make it anew"


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` only when the block succeeds.

    The suffix is kept, so that writers which look at it (NumPy, matplotlib) work unchanged. What a
    killed process leaves is overwritten by the next. Two processes must not write one file at the
    same time; Snakemake's lock sees to that.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.new{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Read columns of a data set's own table as text."""
    table = _parse(path, "replace it by an intact copy", dtype=str)
    if missing := [name for name in columns if name not in table]:
        raise InputError(
            f"{path}: has no column '{missing[0]}' (it has {', '.join(table)}); "
            "replace it by the original."
        )
    # The name that pandas gives to a second column.
    if twice := [name for name in columns if f"{name}.1" in table]:
        raise InputError(f"{path}: has two columns '{twice[0]}'; remove or rename one of them.")
    gaps = table.index[table[columns].isna().any(axis=1)]
    if len(gaps) or table.empty:
        row = gaps[0] + 2 if len(gaps) else 2
        raise InputError(f"{path}: line {row} is incomplete; replace it by an intact copy.")
    return table[columns]


def read_json(path: Path, remedy: str = "replace it by an intact copy") -> object:
    """Read a data set's own JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it from the original.") from None
    except (RecursionError, ValueError) as error:
        raise InputError(f"{path}: is no complete JSON ({reason(error)}); {remedy}.") from None


def read_facts(path: str | Path) -> dict:
    """Read a JSON file of this study, such as a receipt."""
    facts = read_json(Path(path), REMAKE)
    if not isinstance(facts, dict):
        raise InputError(f"{path}: is no JSON object; {REMAKE}.")
    return facts


def read_rows(path: str | Path) -> pd.DataFrame:
    """Read a table of this study with one row per image: names stay text, also '0012' and 'NA'.

    An empty cell is NaN: an undefined score.
    """
    return _parse(path, REMAKE, dtype=TEXT_COLUMNS)


def _parse(path: str | Path, remedy: str, dtype: object) -> pd.DataFrame:
    """Read a CSV file in UTF-8; only an empty cell is a missing value."""
    try:
        table = pd.read_csv(path, dtype=dtype, keep_default_na=False, na_values=[""])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it from the original.") from None
    except ValueError as error:  # of which pandas' own errors are kinds
        raise InputError(f"{path}: is no CSV table ({reason(error)}); {remedy}.") from None
    # With more cells than names, pandas would shift the names.
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
    # Without rows, pandas cannot tell numbers from text.
    return scores.astype({"seed": int, "correct": float, "constant": float, "value": float})


def write_table(path: str | os.PathLike, table: pd.DataFrame) -> None:
    """Write a table without its index, whole or not at all; numbers with nine digits."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.9g")


def write_json(path: str | os.PathLike, facts: object) -> None:
    """Write facts as indented JSON, whole or not at all."""
    with atomic_path(path) as temporary:
        text = json.dumps(facts, ensure_ascii=False, indent=2)
        temporary.write_text(text + "\n", encoding="utf-8")
