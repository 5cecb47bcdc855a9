"""SegX's and SegU's tables as the page prints them: cells of text, arranged as in the paper."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from segxai.page.page import VERDICTS, origin, p_value
from segxai.page.segx_page import (
    ALIGNMENT,
    ALONE,
    CERTAINTY,
    DOSES,
    JOINED,
    RIVALS,
    SHORTCUT_SEEN,
    Cells,
    cells,
    change,
    fraction,
    percent,
    rows,
)

# A cell is a list of lines, the first of which stands out.
Line = list[list[list[str]]]
JOINT = {"c_iou+maximum_probability": "c_IoU and maximum probability"}
AREAS = {"auroc": "AUROC", "aurc": "AURC", "augrc": "AUGRC"}
GAINS = {
    "iou@5% gain": "IoU@5 %",
    "auitc gain": "AUITC",
    "auroc c_iou": "c_IoU",
    "auroc c_auitc": "c_AUITC",
}


def cell(found: dict | None, shown: Callable[[float], str] = fraction) -> list[str]:
    """Print a value, its interval, and the paper's value with the verdict where there is one.

    Parameters
    ----------
    found
        Row of a tidy table; None gives an empty cell.
    shown
        Prints a number.
    """
    if found is None:
        return []
    if np.isnan(found["value"]):
        return ["–", "undefined"]
    low, high = shown(found["ci_low"]), shown(found["ci_high"])
    # A dash between signs would read as one of them.
    between = f"{low} to {high}" if shown is change else f"{low.removesuffix(' %')}–{high}"
    lines = [shown(found["value"]), between]
    # Tables without published values have no such column.
    if np.isfinite(found.get("published", np.nan)):
        sign = VERDICTS.get(found.get("verdict"), "")
        lines.append(f"paper {shown(found['published'])} {sign}".rstrip())
    return lines


def counted(found: dict) -> list[str]:
    """Print n and the number of undefined scores."""
    undefined = found["n_undefined"]
    return [f"{found['n']:,}", *([f"{undefined:,} undefined"] if undefined else [])]


def arranged(
    tables: dict[str, Cells],
    titles: dict[str, str],
    first: str,
    head: dict[str, list[str]],
    line: Callable[[str, Cells, str], Line],
) -> dict:
    """Arrange tidy tables with data sets and rows down, and groups of columns across.

    Parameters
    ----------
    tables
        Cells of each data set.
    titles
        Printed name of each data set.
    first
        Heading of the first column.
    head
        Columns by the heading above them.
    line
        Cells of a row, by group of columns, from the data set, its cells and the row's name.
    """
    return {
        "first": first,
        "head": list(head.items()),
        "groups": [
            (titles[dataset], [(row, line(dataset, found, row)) for row in rows(found)])
            for dataset, found in tables.items()
            if found
        ],
    }


def arrange(
    tables: dict[str, pd.DataFrame], tests: dict[str, pd.DataFrame], titles: dict[str, str]
) -> dict[str, dict]:
    """Arrange all tables of SegX and SegU.

    Parameters
    ----------
    tables, tests
        As :func:`segxai.page.segx_page.answer` takes them.
    titles
        Printed name of each data set.

    Returns
    -------
    dict
        By name: segx_alignment (Table 3), segx_readings, segu_certainty (Table 4), segu_selective,
        segx_networks, segx_doses, segx_tests, and segx_shortcut where it was measured. Each holds
        first, head and groups as of :func:`arranged`.
    """
    found = {
        name: {dataset: cells(table, dataset) for dataset in titles}
        for name, table in tables.items()
        if name != "segx_doses"
    }
    shown = {
        "segx_alignment": alignment(found["segx_alignment"], tests["segx_alignment"], titles),
        "segx_readings": readings(found["segx_alignment"], titles),
        "segu_certainty": certainty(found["segu_certainty"], tests["segu_certainty"], titles),
        "segu_selective": selective(found["segu_certainty"], titles),
        "segx_networks": networks(found["segx_networks"], titles),
        "segx_doses": doses(tables["segx_doses"], titles),
        "segx_tests": tested(tests, titles),
    }
    if "segx_shortcut" in found:
        shown["segx_shortcut"] = shortcut(found["segx_shortcut"], titles)
    return shown


def of_test(table: pd.DataFrame, dataset: str, row: str, metric: str) -> dict:
    """Test of one row of Table 3 or 4: its first is "<row> segx" or "<row> correct"."""
    names = table["first"].str.rpartition(" ")[0]
    chosen = table[(table.dataset == dataset) & (names == row) & (table.metric == metric)]
    (test,) = chosen.to_dict("records")
    return test


def alignment(tables: dict[str, Cells], tests: pd.DataFrame, titles: dict[str, str]) -> dict:
    """Table 3: overlap with the truth of the original and the refined explanations."""

    def line(dataset: str, found: Cells, row: str) -> Line:
        groups = []
        for metric in ALIGNMENT:
            test = of_test(tests, dataset, row, metric)
            gain = [change(test["mean_difference"]), p_value(test["p_holm"])] if test["n"] else []
            pair = [cell(found[row, f"{metric} {kind}"]) for kind in ("original", "segx")]
            groups.append([*pair, gain])
        most = [cell(found[row, f"iou@5% ceiling{kind}"]) for kind in ("", " sparse")]
        alone = [cell(found[row, "iou segmentation"])]
        return [*groups, most, alone, [counted(found[row, "iou@5% original"])]]

    head = {name: ["original", "SegX", "change"] for name in ALIGNMENT.values()}
    head |= {"IoU@5 %, at most": ["original", "SegX"], "Segmentation": ["IoU"], "Labels": ["n"]}
    return arranged(tables, titles, "Model and explainer", head, line)


def readings(tables: dict[str, Cells], titles: dict[str, str]) -> dict:
    """Table 3 by the other readings of the paper: the mask of a thresholded map, and quantiles."""

    def line(_, found: Cells, row: str) -> Line:
        first = [cell(found[row, f"{metric} segx threshold first"]) for metric in ALIGNMENT]
        ranks = [cell(found[row, f"auitc quantile {kind}"]) for kind in ("original", "segx")]
        return [first, ranks]

    head = {
        "SegX, threshold first": list(ALIGNMENT.values()),
        "AUITC over quantiles": ["original", "SegX"],
    }
    return arranged(tables, titles, "Model and explainer", head, line)


def certainty(tables: dict[str, Cells], tests: pd.DataFrame, titles: dict[str, str]) -> dict:
    """Table 4: certainty of correct and incorrect predictions."""

    def line(dataset: str, found: Cells, row: str) -> Line:
        groups = []
        for metric in CERTAINTY:
            test = of_test(tests, dataset, row, metric)
            apart = cell(found[row, f"auroc {metric}"])
            if np.isfinite(test["p_holm"]):
                apart.append(p_value(test["p_holm"]))
            pair = [cell(found[row, f"{metric} {kind}"]) for kind in ("correct", "incorrect")]
            groups.append([*pair, apart])
        errors = found[row, "error rate"]
        return [*groups, [cell(errors, percent), [f"{errors['n']:,}"]]]

    head = {name: ["correct", "incorrect", "AUROC"] for name in CERTAINTY.values()}
    head["Predictions"] = ["wrong", "n"]
    return arranged(tables, titles, "Model and explainer", head, line)


def selective(tables: dict[str, Cells], titles: dict[str, str]) -> dict:
    """How well each confidence tells errors: AUROC, AURC and AUGRC."""
    names = CERTAINTY | RIVALS | JOINT
    differences = {
        "c_IoU less maximum probability": ALONE,
        "c_IoU and maximum probability, less the latter": JOINED,
    }
    groups = []
    for dataset, found in tables.items():
        for row in rows(found):
            lines = [
                (name, [[cell(found[row, f"{area} {key}"]) for area in AREAS]])
                for key, name in names.items()
            ]
            lines += [
                (name, [[cell(found[row, metric], change), [], []]])
                for name, metric in differences.items()
            ]
            groups.append((f"{titles[dataset]}, {row}", lines))
    head = [("Area under the curve", list(AREAS.values()))]
    return {"first": "Confidence", "head": head, "groups": groups}


def networks(tables: dict[str, Cells], titles: dict[str, str]) -> dict:
    """Scores of classifiers and segmenters on test images."""
    groups = {
        "Classification": ["accuracy", "f1", "auroc"],
        "Segmentation": ["dice", "iou"],
        "Test images": ["images", "no predicted label", "no finding"],
    }

    def number(found: dict | None) -> list[str]:
        return [] if found is None else [f"{found['value']:,.0f}"]

    def line(_, found: Cells, row: str) -> Line:
        return [
            [(number if title == "Test images" else cell)(found.get((row, name))) for name in names]
            for title, names in groups.items()
        ]

    printed = {"f1": "F1", "auroc": "AUROC", "dice": "Dice", "iou": "IoU", "images": "all"}
    head = {title: [printed.get(name, name) for name in names] for title, names in groups.items()}
    return arranged(tables, titles, "Network", head, line)


def doses(table: pd.DataFrame, titles: dict[str, str]) -> dict:
    """SegX's gain and SegU's AUROC by kind and size of the damage to the true masks."""
    groups = []
    for (dataset, row), part in table.groupby(["dataset", "row"], sort=False):
        lines = []
        for (kind, radius), some in part.groupby(["kind", "radius"], sort=False):
            found = {r["metric"]: r for r in some.to_dict("records")}
            name = DOSES[kind] + ("" if kind == "none" else f" by {radius:g} px")
            gains, areas = list(GAINS)[:2], list(GAINS)[2:]
            lines.append(
                (
                    name,
                    [
                        [[fraction(some.dice.iloc[0])]],
                        [cell(found[metric], change) for metric in gains],
                        [cell(found[metric]) for metric in areas],
                    ],
                )
            )
        groups.append((f"{titles[dataset]}, {row}", lines))
    names = list(GAINS.values())
    head = [("Mask", ["Dice"]), ("Gain by SegX", names[:2]), ("AUROC of SegU", names[2:])]
    return {"first": "Segmentation", "head": head, "groups": groups}


def shortcut(tables: dict[str, Cells], titles: dict[str, str]) -> dict:
    """What explanations and SegU make of the planted marker."""

    def line(_, found: Cells, row: str) -> Line:
        shares = [
            [cell(found[row, f"marker {part}"], percent) for part in parts]
            for parts in (["area"], ["relevance", "relevance segx"], ["top", "top segx"])
        ]
        sure = [cell(found[row, f"c_iou {kind}"]) for kind in ("marked", "unmarked")]
        return [*shares, [*sure, cell(found[row, SHORTCUT_SEEN])]]

    pair = ["original", "SegX"]
    head = {"Marker": ["area"], "Relevance on it": pair, "Top 5 % on it": pair}
    head["c_IoU"] = ["marked", "unmarked", "AUROC"]
    return arranged(tables, titles, "Model and explainer", head, line)


def tested(tests: dict[str, pd.DataFrame], titles: dict[str, str]) -> dict:
    """All tests of Tables 3 and 4."""

    def line(test: dict) -> list[list[str]]:
        if test["metric"] in ALIGNMENT:
            effect = [change(test["mean_difference"]), "difference"]
            n = [f"{test['n']:,}"]
        else:
            effect = [fraction(test["effect"]), "AUROC"]
            n = [f"{test['n_first']:,}", f"and {test['n_second']:,}"]
        p = (p_value(test[key]).removeprefix("p = ") for key in ("p", "p_holm"))
        return [effect, n, *([text.removeprefix("p ")] if text != "nan" else [] for text in p)]

    groups = []
    for dataset, title in titles.items():
        chosen = [table[table.dataset == dataset] for table in tests.values()]
        lines = [
            (
                f"{(ALIGNMENT | CERTAINTY)[test['metric']]}: {test['first']}, "
                f"{test['second'].rpartition(' ')[2]}",
                [line(test)],
            )
            for part in chosen
            for test in part.to_dict("records")
        ]
        groups.append((title, lines))
    head = [("Test", ["effect", "n", "p", "p, Holm"])]
    return {"first": "First and second", "head": head, "groups": groups}


def trained(card: dict) -> str:
    """Sum up the training of a network from its card."""
    best = card["best"]
    scores = {
        name.removeprefix("validation_"): best[name] for name in best if "validation_" in name
    }
    listed = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    return (
        f"{card['architecture']}, {card['parameters']:,} parameters, {origin(card)}; epoch "
        f"{best['epoch']:.0f} of at most {card['training']['epochs']} kept: validation {listed}"
    )


def shared_groups(samples: pd.DataFrame) -> float:
    """Share of the test images whose group (patient, lesion) is also among the other images."""
    tested = samples.split == "test"
    return float(samples.group[tested].isin(samples.group[~tested]).sum() / max(tested.sum(), 1))
