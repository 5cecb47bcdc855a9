"""Tidy tables for the page: rows × titled values, comparisons with the best row, all numbers."""

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from segxai.page.page import VERDICTS, in_unit, p_value, signed
from segxai.stats.layout import constant_maps, printed_rows, same_images
from segxai.workflow.shown import CELL, row_title

ROW = ["network", "explainer", "segmenter"]
SIDES = ("first", "second")
SIGNIFICANT = 0.05


def normalise(table: pd.DataFrame) -> pd.DataFrame:
    """Fill the text columns of a table: empty where they do not apply."""
    named = {name for name in table if name.startswith(("first_", "second_"))} | {*ROW, *CELL}
    texts = [name for name in table if name in named or not is_numeric_dtype(table[name])]
    table = table.astype(dict.fromkeys(texts, object))
    table[texts] = table[texts].fillna("")
    return table


def with_verdicts(table: pd.DataFrame, claims: pd.DataFrame) -> pd.DataFrame:
    """Add the verdict on each published number; empty where there is none."""
    keys = ["table", "dataset", "published"]
    verdicts = claims.set_index([*keys, "ours"]).verdict.to_dict()
    rows = table[[*keys, "value"]].itertuples(index=False, name=None)
    return table.assign(verdict=[verdicts.get(row, "") for row in rows])


def arrange(table: pd.DataFrame, spec: dict, titles: dict[str, str], names: dict) -> dict:
    """Arrange a tidy table for printing: a group of rows for each data set.

    Parameters
    ----------
    table
        Tidy table with verdicts.
    spec
        The table's declaration: rows, values and splits.
    titles
        Printed name of each data set.
    names
        Printed names by key: network, explainer and segmenter.

    Returns
    -------
    dict
        columns (titles, and n after those of the same images), split, and groups: title of the data
        set, and rows of a title with a cell for each column. A cell has the number ``sort``, value,
        interval, published and verdict.
    """
    table, groups = printed_rows(table, spec, names), []
    alike = same_images(table)
    for dataset, part in table.groupby("dataset", sort=False):
        rows = []
        for title, lines in part.groupby("row", sort=False):
            by_column = {line["column"]: line for line in lines.to_dict("records")}
            cells = []
            for columns in alike:
                own = [by_column.get(column) for column in columns]
                cells += [*map(cell, own), count(next(filter(None, own), None))]
            rows.append((title, cells))
        groups.append((titles[dataset], rows))
    columns = [column for columns in alike for column in (*columns, "n")]
    return {"columns": columns, "split": spec["splits"][0], "groups": groups}


def cell(line: dict | None) -> dict:
    """Print one number with its interval and the published one."""
    if line is None or np.isnan(line["value"]):
        constant = constant_maps(line["n_constant"]).removeprefix("; ") if line else ""
        return {"sort": "", "value": "–", "interval": constant, "published": "", "verdict": ""}
    published = ""
    if np.isfinite(line["published"]):
        sign = VERDICTS.get(line["verdict"], "")
        published = f"paper {in_unit(line['published'], line['unit'])} {sign}".rstrip()
    return {
        "sort": f"{line['value']:.9g}",
        "value": in_unit(line["value"], line["unit"]),
        "interval": interval(line, line["unit"]) + constant_maps(line["n_constant"]),
        "published": published,
        "verdict": line["verdict"],
    }


def count(line: dict | None) -> dict:
    """Print the number of images, or predictions, behind a value."""
    n = None if line is None else line["n"]
    return cell(None) | ({} if n is None else {"sort": f"{n:.0f}", "value": f"{n:,.0f}"})


def interval(line: dict, unit: str, printed=in_unit) -> str:
    """Print an interval; empty if undefined."""
    low, high = line["ci_low"], line["ci_high"]
    return f"{printed(low, unit)} to {printed(high, unit)}" if np.isfinite(low) else ""


def comparisons(
    table: pd.DataFrame,
    tests: pd.DataFrame,
    spec: dict,
    titles: dict[str, str],
    names: dict,
    directions: dict[str, str],
) -> list[tuple[str, str]]:
    """Compare the best row of each data set with the next, by the first printed value with a test.

    Parameters
    ----------
    table, tests
        Tidy table, and its tests.
    spec, titles, names
        See :func:`arrange`.
    directions
        ``higher``, ``lower`` or ``none`` by metric or statistic; `none` is not compared.

    Returns
    -------
    list of (str, str)
        Title of the data set, and its comparison.
    """
    table, lines = printed_rows(table, spec, names), []
    shown = table[table.value.notna()]
    tested = shown[shown.metric.isin(tests.metric[tests.first_segmenter != tests.second_segmenter])]
    # A tested value is preferred to the first one.
    columns = [*tested.column, *shown.column]
    for dataset, part in shown[shown.column.isin(columns[:1])].groupby("dataset", sort=False):
        line = part.iloc[0]
        direction = directions.get(line.statistic) or directions.get(line.metric, "none")
        part = part.sort_values("value", ascending=direction == "lower", kind="stable")
        best, *others = part.to_dict("records")
        # Equal rows have no best one.
        if direction == "none" or (others and others[0]["value"] == best["value"]):
            continue
        name, unit = row_title(best, spec["rows"], names), best["unit"]
        text = f"{line.column}: {name} {'leads with' if others else 'reaches'} "
        text += f"{in_unit(best['value'], unit)} ({interval(best, unit)}; n = {best['n']:,.0f})"
        if others:
            text += f"; next is {row_title(others[0], spec['rows'], names)}, "
            text += difference(best, others[0], tests[tests.dataset == dataset])
        lines.append((titles[dataset], f"{text}."))
    return lines


def difference(best: dict, other: dict, tests: pd.DataFrame) -> str:
    """Difference of the best row from another: by their paired test, if there is one."""
    unit = best["unit"]
    for first, second, sign in ((best, other, 1), (other, best, -1)):
        for test in tests.to_dict("records"):
            sides = (("first", first), ("second", second))
            if (
                test["metric"] == best["metric"]
                and np.isfinite(test["mean_difference"])
                and all(
                    test[f"{side}_{key}"] == row[key]
                    for side, row in sides
                    for key in (*ROW, "view")
                )
            ):
                bounds = {key: sign * test[key] for key in ("ci_low", "ci_high")}
                low, high = sorted(bounds.values())
                spread = interval({"ci_low": low, "ci_high": high}, unit, signed)
                chance = "" if test["p_holm"] < SIGNIFICANT else ", no difference shown"
                return (
                    f"difference {signed(sign * test['mean_difference'], unit)} ({spread}) on the "
                    f"{test['n']:,.0f} images of both, {p_value(test['p_holm'])}{chance}"
                )
    return f"with {in_unit(other['value'], unit)} ({interval(other, unit)})"


def within_rows(tests: pd.DataFrame, titles: dict[str, str], names: dict) -> list[tuple[str, str]]:
    """Count the outcomes of tests of two views, or of two kinds of predictions, of one row.

    Parameters
    ----------
    tests
        Tests of one table; mean_difference or effect gives the higher side.
    titles, names
        See :func:`arrange`; `names` may include metrics and views.

    Returns
    -------
    list of (str, str)
        Title of the data set, and a line for each metric and pair of parts.
    """
    same_row = [
        all(test[f"first_{key}"] == test[f"second_{key}"] for key in ROW)
        for test in tests.to_dict("records")
    ]
    tests = tests[np.array(same_row, dtype=bool)]
    parts = ["dataset", "metric", *(f"{s}_{k}" for k in ("view", "where") for s in SIDES)]
    lines = []
    for (dataset, metric, *sides), part in tests.groupby(parts, sort=False):
        # The difference between the two sides: the view, or the predictions.
        first, second = next(pair for pair in (sides[:2], sides[2:]) if pair[0] != pair[1])
        shown = part.p_holm < SIGNIFICANT
        higher = (part.mean_difference > 0) | (part.effect > 0.5)
        counts = {"higher": shown & higher, "lower": shown & ~higher, "no difference shown": ~shown}
        counted = [f"{word} in {rows.sum()}" for word, rows in counts.items() if rows.any()]
        title = names.get("metric", {}).get(metric, metric)
        first, second = (names.get("view", {}).get(side, side) for side in (first, second))
        text = f"{title}, {first} against {second}: {', '.join(counted)} of {len(part)} rows."
        lines.append((titles[dataset], text))
    return lines


def all_numbers(table: pd.DataFrame) -> dict:
    """Table for sorting and filtering: the non-empty columns and all rows."""
    kept = [name for name in table if table[name].notna().any() and (table[name] != "").any()]
    rounded = table[kept].map(lambda v: float(f"{v:.4g}") if isinstance(v, float) else v)
    rows = rounded.astype(object).where(rounded.notna(), None).to_numpy().tolist()
    return {"columns": kept, "rows": rows}
