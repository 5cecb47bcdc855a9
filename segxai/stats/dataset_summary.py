"""Summary of the data sets of a run, with the counts of the papers and of the makers."""

import re

import numpy as np
import pandas as pd

from segxai.datasets.record import NO_FINDING
from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import TEST, TRAIN, VALIDATION
from segxai.stats import layout

COLUMNS = [
    "paper", "table", "dataset", "row", "metric", "unit", "value", "n", "n_undefined", "published",
    "difference", "official", "text",
]  # fmt: skip
KEYS = ["row", "metric"]
QUANTILES = (5, 25, 50, 75, 95)  # percent
# Printed name of each line that all data sets share.
LINES = {
    ("total", "images found"): "Images found",
    ("total", "images"): "Images used",
    (TRAIN, "images"): "Training images",
    (VALIDATION, "images"): "Validation images",
    (TEST, "images"): "Test images",
    (TRAIN, "patches"): "Training patches",
    (VALIDATION, "patches"): "Validation patches",
    ("total", "groups"): "Groups (patients, lesions, slides)",
    ("shared", "groups"): "Groups on several sides of the split",
    ("total", "images without mask"): "Images without mask",
    ("total", "unknown outlines"): "Images with an unknown outline",
    **{(f"{level} %", "mask area"): f"Mask area, {level} % quantile" for level in QUANTILES},
    ("total", "masks resized"): "Masks resized to their image",
    ("total", "rejected files"): "Files rejected",
}
TERMS = ("licence", "citation")
# Counts of each class.
COUNTED = ("images", "patches", "boxes")
# LaTeX column descriptions of the tables of text; classes have numbers only.
BREAKING = {"terms": "lp{5cm}p{9cm}", "rejected": "lp{10cm}r"}


def summarise(
    dataset: str,
    definition: dict,
    samples: pd.DataFrame,
    rejected: pd.DataFrame,
    patches: pd.DataFrame | None,
    n_found: int,
    published: pd.DataFrame,
    official: pd.DataFrame,
) -> pd.DataFrame:
    """Count the contents of one data set, with the counts of others.

    Parameters
    ----------
    definition
        analysis_size, classes, licence and citation.
    patches
        ``patches.csv`` of a data set with labelled patches; None for whole images.
    n_found
        Images in the folder of the originals.
    published, official
        Counts of the papers, and of the data set's makers or its own lists.

    Returns
    -------
    DataFrame
        `COLUMNS` without intervals, a row per number: `LINES`, classes by what is counted of them,
        and ``rejected files`` by :func:`reasons`. n is the number of images, or of those with a
        mask for areas. Groups are NaN where unknown. Counts of others alone have no value. Licence
        and citation have a text instead.
    """
    counts = _images(samples, n_found) | _classes(samples, patches, definition["classes"])
    counts |= {("total", "rejected files"): len(rejected)}
    counts |= {(why, "rejected files"): n for why, n in reasons(rejected).items()}
    whole = {"n": len(samples), "n_undefined": 0}
    rows = [
        {"row": row, "metric": metric, "unit": "count", "value": value} | whole
        for (row, metric), value in counts.items()
    ]
    rows += areas(samples, definition["analysis_size"])
    rows += [
        {"row": row, "metric": "text", "unit": "text", "text": definition[row]} | whole
        for row in TERMS
    ]
    ours, known = pd.DataFrame(rows), _known(dataset, published, official)
    uncounted = ~known.set_index(KEYS).index.isin(ours.set_index(KEYS).index)
    rest = known.loc[uncounted, KEYS].assign(unit="count", **whole)
    table = pd.concat([ours, rest]).merge(known, how="left", on=KEYS)
    table = table.assign(dataset=dataset, difference=table.value - table.published)
    return table.reindex(columns=COLUMNS)


def _known(dataset: str, published: pd.DataFrame, official: pd.DataFrame) -> pd.DataFrame:
    """Counts of a data set by the paper and by its makers: paper, table, `KEYS` and both."""
    theirs = published[published.dataset == dataset].rename(columns={"value": "published"})
    makers = official[official.dataset == dataset].rename(columns={"value": "official"})
    return theirs[["paper", "table", *KEYS, "published"]].merge(
        makers[[*KEYS, "official"]], how="outer", on=KEYS
    )


def _images(samples: pd.DataFrame, n_found: int) -> dict[tuple[str, str], float]:
    """Count images, groups and masks."""
    counts = {("total", "images found"): n_found, ("total", "images"): len(samples)}
    counts |= {
        (side, "images"): (samples.split == side).sum() for side in (TRAIN, VALIDATION, TEST)
    }
    sides = samples.groupby("group").split.nunique()
    # Without known groups, each image is its own group.
    known = (samples.group != samples.image_id).any()
    counts |= {
        ("total", "groups"): len(sides) if known else np.nan,
        ("shared", "groups"): (sides > 1).sum() if known else np.nan,
        ("total", "images without mask"): (samples.mask_pixels == 0).sum(),
        ("total", "unknown outlines"): samples.mask_pixels.isna().sum(),
        ("total", "masks resized"): samples.mask_resized.sum(),
    }
    return counts


def _classes(
    samples: pd.DataFrame, patches: pd.DataFrame | None, classes: list[str]
) -> dict[tuple[str, str], int]:
    """Count the patches of each class and subset, or the images of each class."""
    if patches is not None:
        counts = {(side, "patches"): (patches.split == side).sum() for side in (TRAIN, VALIDATION)}
        return counts | {(name, "patches"): (patches.label == name).sum() for name in classes}
    shown = label_matrix(samples, classes)
    counts = {(name, "images"): n for name, n in zip(classes, shown.sum(axis=0), strict=True)}
    if f"label_{classes[0]}" in samples:
        counts[NO_FINDING, "images"] = (~shown.any(axis=1)).sum()
    return counts


def areas(samples: pd.DataFrame, size: int) -> list[dict]:
    """Quantiles of the area of masks of side `size`, without empty ones.

    In percent of the image, linear between order statistics; NaN if all masks are empty.
    """
    covered = samples.mask_pixels[samples.mask_pixels > 0]
    counted = {"n": len(covered), "n_undefined": len(samples) - len(covered)}
    return [
        {"row": f"{level} %", "metric": "mask area", "unit": "percent"}
        | {"value": 100 * covered.quantile(level / 100) / size**2}
        | counted
        for level in QUANTILES
    ]


def reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """Count rejected files by reason, the commonest first.

    The reason is that of ``rejected.csv`` without the names of files, and without its remedy, which
    follows a semicolon; numbers are replaced by #. It begins with the faulty part, the image or its
    mask.
    """

    def generalise(file: str, reason: str) -> str:
        path, _, problem = reason.partition(": ")
        # The image may be a folder, such as a series.
        part = "image" if path == file or path.startswith(f"{file}/") else "mask"
        problem = re.sub(r"\S+\.[A-Za-z]\w*", "…", problem.partition(";")[0])
        return f"{part}: {re.sub(r'[0-9]+([.,][0-9]+)*', '#', problem)}"

    kinds = [generalise(*row) for row in rejected[["file", "reason"]].itertuples(index=False)]
    return pd.Series(kinds, dtype=object).value_counts().to_dict()


def arrange(table: pd.DataFrame, titles: dict[str, str]) -> dict:
    """Arrange the summary for readers: a column per data set, and lists with their own rows.

    Parameters
    ----------
    table
        Results of :func:`summarise` for all data sets.
    titles
        Printed name of each data set.

    Returns
    -------
    dict
        titles; lines, each a name with a cell per data set; a cell is a list of texts, our number
        and those of others; classes, rejected (by reason) and terms (licence and citation), each a
        list of records of text. Empty lines are left out.
    """
    numbers = {(r["dataset"], r["row"], r["metric"]): r for r in table.to_dict("records")}
    lines = {
        name: [_cell(numbers.get((dataset, *key))) for dataset in titles]
        for key, name in LINES.items()
    }
    return {
        "titles": list(titles.values()),
        "lines": {name: cells for name, cells in lines.items() if any(cells)},
        "classes": _by_class(table.assign(dataset=table.dataset.map(titles))),
        "rejected": [
            {"Data set": titles[dataset], "Reason": row, "Files": f"{number['value']:,.0f}"}
            for (dataset, row, metric), number in numbers.items()
            if metric == "rejected files" and row != "total"
        ],
        "terms": [
            {"Data set": title}
            | {row.capitalize(): numbers[dataset, row, "text"]["text"] for row in TERMS}
            for dataset, title in titles.items()
        ],
    }


def _cell(number: dict | None) -> list[str]:
    """Print a number with those of others; empty if none is known."""
    if number is None:
        return []
    printed = {"percent": "{:.2f} %", "count": "{:,.0f}"}[number["unit"]]
    ours = "–" if np.isnan(number["value"]) else printed.format(number["value"])
    others = {"paper": number["published"], "official": number["official"]}
    counted = [f"{name} {value:,.0f}" for name, value in others.items() if np.isfinite(value)]
    return [ours, *counted] if counted or ours != "–" else []


def _by_class(table: pd.DataFrame) -> list[dict[str, str]]:
    """One record per class: our count, the paper's and the makers'."""
    lines = {row for row, metric in LINES if metric in COUNTED}
    rows = table[table.metric.isin(COUNTED) & ~table.row.isin(lines)]
    sources = {"value": "", "published": ", paper", "official": ", official"}
    columns = {
        (metric, source): metric.capitalize() + suffix
        for metric in COUNTED
        for source, suffix in sources.items()
        if rows[source][rows.metric == metric].notna().any()
    }
    records = []
    for (dataset, name), cells in rows.groupby(["dataset", "row"], sort=False):
        numbers = cells.set_index("metric")
        record = {"Data set": dataset, "Class": name}
        for (metric, source), column in columns.items():
            number = numbers[source].get(metric, np.nan)
            record[column] = "" if np.isnan(number) else f"{number:,.0f}"
        records.append(record)
    return records


def printed(arranged: dict) -> dict[str, pd.DataFrame]:
    """Lay out the result of :func:`arrange` as non-empty tables of text by name."""
    lines = {
        name: ["; ".join(cell) or "–" for cell in cells]
        for name, cells in arranged["lines"].items()
    }
    wide = pd.DataFrame.from_dict(lines, orient="index", columns=arranged["titles"])
    tables = {"lines": wide.rename_axis("", axis=0)}
    for part in ("classes", "rejected", "terms"):
        if arranged[part]:
            tables[part] = pd.DataFrame(arranged[part]).set_index("Data set")
    return tables


def markdown(tables: dict[str, pd.DataFrame]) -> str:
    """Print tables of text one below the other as Markdown."""
    return "\n".join(map(layout.markdown, tables.values()))


def latex_tables(tables: dict[str, pd.DataFrame]) -> str:
    """Print tables of text one below the other for LaTeX; columns with sentences break lines."""
    columns = {"lines": "l" + "p{3.4cm}" * len(tables["lines"].columns), **BREAKING}
    return "\n".join(layout.latex(table, columns.get(name)) for name, table in tables.items())
