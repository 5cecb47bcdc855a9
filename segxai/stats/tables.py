"""Tidy tables of means with intervals, their printed forms, and verdicts on published numbers."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from segxai.job.files import atomic_path
from segxai.job.log import log
from segxai.stats.bootstrap import bootstrap_mean
from segxai.stats.tests import paired_tests

METRICS = {"iou": "miou", "dice": "dice"}
# Scores of single objects, as columns, metrics and printed.
INSTANCE_METRICS = {"aji": "aji", "pq": "pq", "sq": "sq", "dq": "dq"}
INSTANCES_PRINTED = {"aji": "AJI %", "pq": "PQ %", "sq": "SQ %", "dq": "DQ %"}
# The images that the numbers of each paper are for.
SPLITS = {"explainseg": "all", "segx": "test"}
DECIMALS = {"percent": 1, "fraction": 3, "count": 0}
KEYS = ["paper", "table", "dataset", "row", "metric"]
COLUMNS = [
    "paper",
    "table",
    "dataset",
    "split",
    "row",
    "metric",
    "unit",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "n_undefined",
    "published",
    "difference",
]


def per_image(scores: pd.DataFrame, metrics: Iterable[str] = METRICS) -> pd.DataFrame:
    """Average the scores of an image over seeds: one row per dataset, row and image."""
    keys = ["dataset", "row", "image_id", "group", "split"]
    return scores.groupby(keys, sort=False, as_index=False)[list(metrics)].mean()


def summarise(
    scores: pd.DataFrame,
    paper: str,
    table: str,
    published: pd.DataFrame,
    statistics: dict,
    metrics: dict[str, str] = METRICS,
) -> pd.DataFrame:
    """Mean of each metric in percent, with its interval, beside the published value.

    Parameters
    ----------
    scores
        One row per dataset, row, seed and image, with group, split and scores in 0…1.
    paper, table
        Which published table the rows belong to; a name of its own where none was published.
    published
        ``config/published.csv``; its values are for train and validation images together.
    statistics
        resamples, confidence and seed of the intervals.
    metrics
        Name in the table of each column of scores.

    Returns
    -------
    DataFrame
        `COLUMNS`; one row per dataset, split (all, train, validation, and test where there is
        one), row and metric.
    """
    rows = []
    means = per_image(scores, metrics)
    for (dataset, row), images in means.groupby(["dataset", "row"], sort=False):
        tested = ("test",) if (images.split == "test").any() else ()
        for split in ("all", "train", "validation", *tested):
            chosen = images if split == "all" else images[images.split == split]
            for column, metric in metrics.items():
                cell = {"dataset": dataset, "split": split, "row": row, "metric": metric}
                rows.append(cell | mean_cell(100 * chosen[column], chosen.group, statistics))
    result = pd.DataFrame(rows).assign(paper=paper, table=table, unit="percent")
    return beside_published(result, published)


def mean_cell(values: pd.Series, groups: pd.Series, statistics: dict) -> dict[str, float]:
    """Mean of some scores with its interval, how many are defined and how many are not."""
    mean, low, high = bootstrap_mean(values.to_numpy(), groups.to_numpy(), **statistics)
    n = int(values.notna().sum())
    return {
        "value": mean,
        "ci_low": low,
        "ci_high": high,
        "n": n,
        "n_undefined": len(values) - n,
    }


def beside_published(table: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Set the published values beside ours, and the differences: all of `COLUMNS`.

    Parameters
    ----------
    table
        All of `COLUMNS` but the last two.
    published
        ``config/published.csv``, the numbers of the tables as text.
    """
    reference = published.assign(split=published.paper.map(SPLITS))
    reference = reference.rename(columns={"value": "published"})[[*KEYS, "split", "published"]]
    result = table.merge(reference, how="left", on=[*KEYS, "split"])
    return result.assign(difference=result.value - result.published)[COLUMNS]


def compare(scores: pd.DataFrame, pairs: list[tuple[str, str]], statistics: dict) -> pd.DataFrame:
    """Paired Wilcoxon tests of Dice between `pairs` of rows, Holm-adjusted within a data set.

    Parameters
    ----------
    scores, statistics
        See :func:`summarise`.
    pairs
        Rows to compare.

    Returns
    -------
    DataFrame
        dataset, metric, first, second, n, mean_difference (first − second, in points) with ci_low
        and ci_high, the bootstrap interval over the images of both, p and p_holm.
    """
    tests = []
    for dataset, images in per_image(scores).groupby("dataset", sort=False):
        wide = images.pivot(index=["image_id", "group"], columns="row", values="dice")
        groups = wide.index.get_level_values("group").to_numpy()
        found = paired_tests(100 * wide, pairs).assign(dataset=dataset, metric="dice")
        bounds = [
            bootstrap_mean(100 * (wide[first] - wide[second]).to_numpy(), groups, **statistics)[1:]
            for first, second in pairs
        ]
        tests.append(found.assign(ci_low=[b[0] for b in bounds], ci_high=[b[1] for b in bounds]))
    columns = ["dataset", "metric", "first", "second", "n", "mean_difference", "ci_low", "ci_high"]
    return pd.concat(tests, ignore_index=True)[[*columns, "p", "p_holm"]]


def printed(table: pd.DataFrame, titles: dict[str, str], metrics: dict[str, str]) -> pd.DataFrame:
    """Lay a tidy table out as papers print it: methods down, data sets and metrics across.

    Parameters
    ----------
    table
        With `COLUMNS`; what is printed is for the images that its paper's numbers are for.
    titles
        Printed name of each data set.
    metrics
        Printed name of each metric; others are left out.

    Returns
    -------
    DataFrame
        Cells of the form ``41.4 [39.0, 43.9]``, and after a semicolon the published value.
    """
    shown = table[(table.split == table.paper.map(SPLITS)) & table.metric.isin(metrics)]
    column = shown.dataset.map(titles) + ", " + shown.metric.map(metrics)
    cells = shown.assign(cell=shown.apply(_cell, axis=1), column=column)
    wide = cells.pivot(index="row", columns="column", values="cell")
    return wide.loc[shown.row.unique(), column.unique()].rename_axis("Method", axis=0)


def single_objects(table: pd.DataFrame | None, titles: dict[str, str]) -> list[dict[str, str]]:
    """Rows of the printed table of single objects; none where it was not made."""
    if table is None:
        return []
    return printed(table, titles, INSTANCES_PRINTED).reset_index().to_dict("records")


def _cell(one: pd.Series) -> str:
    if np.isnan(one.value):
        return "undefined"
    value, low, high, published = (
        f"{number:.{DECIMALS[one.unit]}f}"
        for number in (one.value, one.ci_low, one.ci_high, one.published)
    )
    beside = f"; paper {published}" if np.isfinite(one.published) else ""
    return f"{value} [{low}, {high}]{beside}"


def latex(layout: pd.DataFrame, columns: str | None = None) -> str:
    """Print a table that :func:`printed` laid out for LaTeX with booktabs.

    `columns` is LaTeX's description of the columns, for instance of ones that break lines.
    """
    style = layout.style.format(escape="latex")
    for axis in ("index", "columns"):
        style = style.format_index(escape="latex", axis=axis)
    return style.to_latex(hrules=True, column_format=columns)


def save(table: pd.DataFrame, layout: pd.DataFrame, csv: str, md: str, tex: str) -> None:
    """Write a tidy table as CSV and its layout as Markdown and LaTeX, and log the layout."""
    markdown = layout.to_markdown()
    with atomic_path(csv) as path:
        table.to_csv(path, index=False, float_format="%.4f")
    with atomic_path(md) as path:
        path.write_text(markdown + "\n")
    with atomic_path(tex) as path:
        path.write_text(latex(layout))
    for line in markdown.splitlines():
        log.info(line)
    log.info("%d rows: %s", len(table), csv)


def claims(
    published: pd.DataFrame,
    table: pd.DataFrame,
    obstacles: dict[str, str | None],
    notes: dict[str, str],
    parts: dict[str, str],
) -> pd.DataFrame:
    """Set every published number beside ours, with a verdict.

    Parameters
    ----------
    published
        ``config/published.csv``.
    table
        Our tidy tables, all of them in one. Counts (`segxai.stats.dataset_summary`) are of no
        split.
    obstacles
        For each row that cannot be compared with the paper, why not; None for the others.
    notes
        For each data set, what else a reader must know.
    parts
        For each data set of which only a part was used, which; its counts cannot be compared.

    Returns
    -------
    DataFrame
        The columns of `published`, then ours, ci_low, ci_high, n, verdict and reason. The verdict
        is ``reproduced`` where the published number lies in our interval, or is the same count,
        ``differs`` where it does not, and ``not comparable`` where the run was not theirs, did not
        include it, or had nothing to take it from.
    """
    ours = table[table.split.isna() | (table.split == table.paper.map(SPLITS))]
    ours = ours.rename(columns={"value": "ours"})
    ours = ours.assign(table=ours.table.astype(str))[[*KEYS, "ours", "ci_low", "ci_high", "n"]]
    result = published.assign(table=published.table.astype(str))
    result = result.rename(columns={"value": "published"}).merge(ours, how="left", on=KEYS)
    verdicts = result.apply(_verdict, axis=1, obstacles=obstacles, notes=notes, parts=parts)
    return result.assign(
        n=result.n.astype("Int64"),
        verdict=[verdict for verdict, _ in verdicts],
        reason=[reason for _, reason in verdicts],
    )


def _verdict(claim: pd.Series, obstacles: dict, notes: dict, parts: dict) -> tuple[str, str]:
    if pd.isna(claim.n):
        return "not comparable", "not part of this run"
    if claim.unit == "count":
        return _verdict_on_count(claim, parts.get(claim.dataset))
    note = notes.get(claim.dataset, "")
    if np.isnan(claim.ours):
        return "not comparable", "; ".join(filter(None, ["undefined in this run", note]))
    if obstacle := obstacles.get(claim.row):
        return "not comparable", "; ".join(filter(None, [obstacle, note]))
    if claim.ci_low <= claim.published <= claim.ci_high:
        return "reproduced", "; ".join(filter(None, ["inside our interval", note]))
    gap = claim.ours - claim.published
    side = "higher" if gap > 0 else "lower"
    size = f"{abs(gap):.1f} points" if claim.unit == "percent" else f"{abs(gap):.3f}"
    outside = f"ours is {size} {side}, and theirs outside our interval"
    return "differs", "; ".join(filter(None, [outside, note]))


def _verdict_on_count(claim: pd.Series, part: str | None) -> tuple[str, str]:
    if np.isnan(claim.ours):
        return "not comparable", "not counted in this run"
    if claim.ours == claim.published:
        return "reproduced", "the same count"
    if part:
        return "not comparable", part
    gap = claim.ours - claim.published
    return "differs", f"ours is {abs(gap):,.0f} {'higher' if gap > 0 else 'lower'}"
