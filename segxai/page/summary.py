"""What a reader wants first: best, by how much, published or not, where it fails, what it cost."""

from urllib.parse import urlencode

import numpy as np
import pandas as pd

from segxai.figures.style import printed_name
from segxai.page.page import SIGNIFICANT, VERDICTS, duration, p_value, paired, signed
from segxai.page.segx_page import ALONE, Cells, cells, change, fraction, interval, rows, side

# A mark beside the words, so that no colour is needed, and what it means.
MARKS = {
    "above": ("▲", "better, by more than chance gives"),
    "below": ("▼", "worse, by more than chance gives"),
    "either": ("≈", "no difference shown"),
    "undefined": (VERDICTS["not comparable"], "not comparable"),
    **{verdict: (sign, verdict) for verdict, sign in VERDICTS.items()},
}
WORST = 3
PRINTED = {"explainseg": "ExplainSeg", "segx": "SegX and SegU"}


def line(term: str, text: str, mark: str = "", links: dict[str, str] | None = None) -> dict:
    """One line of a summary: its term, a mark by name (a key of `MARKS`), text and links."""
    return {"term": term, "text": text, "mark": mark, "links": links or {}}


def of_explainseg(
    dataset: str,
    means: pd.DataFrame,
    tests: pd.DataFrame,
    claims: pd.DataFrame,
    roles: dict[str, list[str]],
) -> list[dict]:
    """Sum up one data set of ExplainSeg.

    Parameters
    ----------
    means
        Means of Table 1 (`segxai.stats.tables.summarise`).
    tests
        Paired tests of Dice of Tables 1 and 2, with intervals of the differences.
    claims
        Verdicts on the published numbers.
    roles
        Rows by role: variants, controls and baselines.

    Returns
    -------
    list of dict
        Lines as of :func:`line`; the first also names the best row.
    """
    scores = means[(means.split == "all") & (means.metric == "dice") & (means.dataset == dataset)]
    scores, tests = scores.set_index("row"), tests[tests.dataset == dataset]
    order = scores.value[roles["variants"]].sort_values(ascending=False, kind="stable").index
    best = scores.loc[order[0]]
    spread = f"({best.ci_low:.1f} to {best.ci_high:.1f})"
    text = f"{best.name}: mean Dice {best.value:.1f} % {spread}, n = {best.n:,}"
    lines = [line("Best", text) | {"row": best.name}]
    if len(order) > 1:
        # Means leave out undefined scores, of each variant its own: the pair may disagree.
        gap, p, low, high = _difference(tests, best.name, order[1])
        bounds = f"({signed(low)} to {signed(high)})"
        text = f"{signed(gap)} points {bounds} against {order[1]}, {p_value(p)}"
        text += ", on the images of both"
        lines.append(line("Over the next", text, judged(gap, p)))
    lines += _beside(tests, best.name, roles["controls"])
    others = tests[tests.second.isin(roles["baselines"])]
    lines += _beside(tests, others["first"].iloc[0], roles["baselines"]) if len(others) else []
    return [*lines, *published(claims, "explainseg", dataset, best.name, "dice")]


def judged(gap: float, p: float) -> str:
    """Which side a difference lies on, or either where chance may have made it."""
    return "either" if p >= SIGNIFICANT else "above" if gap > 0 else "below"


def _difference(tests: pd.DataFrame, first: str, second: str) -> tuple[float, float, float, float]:
    """Mean difference first − second in points, adjusted p, and the interval of the difference."""
    gap, p, _ = paired(tests, first, second)
    test = tests[tests["first"].isin([first, second]) & tests.second.isin([first, second])].iloc[0]
    low, high = test.ci_low, test.ci_high
    return (gap, p, low, high) if test["first"] == first else (gap, p, -high, -low)


def _beside(tests: pd.DataFrame, ours: str, others: list[str]) -> list[dict]:
    """Sum up how a row compares with others: a line for each side on which some of them lie."""
    said: dict[str, list[str]] = {}
    for other in others:
        gap, p, *_ = _difference(tests, ours, other)
        mark = judged(gap, p)
        size = f"({signed(gap)} points)" if mark == "either" else f"by {abs(gap):.1f} points"
        said.setdefault(mark, []).append(f"{other} {size}")
    words = {"above": "is above", "either": "cannot be told from", "below": "is below"}
    return [
        line("Beside others", f"{ours} {words[mark]} {', '.join(said[mark])}", mark)
        for mark in words
        if mark in said
    ]


def of_segx(
    dataset: str,
    tables: dict[str, pd.DataFrame],
    tests: pd.DataFrame,
    claims: pd.DataFrame,
) -> list[dict]:
    """Sum up one data set of SegX and SegU, as :func:`of_explainseg` does.

    Parameters
    ----------
    tables
        Tidy tables by name: segx_alignment (Table 3) and segu_certainty (Table 4).
    tests
        Paired tests of Table 3.
    claims
        Verdicts on the published numbers.
    """
    scored, sure = (cells(tables[name], dataset) for name in ("segx_alignment", "segu_certainty"))
    best = best_row(scored)
    if best is None:
        return [line("Best", "no predicted label has a true mask to score against")]
    reached = scored[best, "iou@5% segx"]
    tests = tests[(tests.dataset == dataset) & (tests.metric == "iou@5%")]
    (test,) = tests[tests["first"] == f"{best} segx"].to_dict("records")
    gain, p = test["mean_difference"], test["p_holm"]
    name = printed_name(best)
    original = interval(scored[best, "iou@5% original"])
    return [
        line("Best", f"SegX of {name}: IoU@5 % {interval(reached)}, n = {reached['n']:,}")
        | {"row": best},
        line(
            "Over the original",
            f"{change(gain)} over {original}, {p_value(p)}",
            judged(gain, p),
        ),
        _certainty(sure),
        *published(claims, "segx", dataset, best, "iou@5% segx"),
    ]


def best_row(scored: Cells) -> str | None:
    """Row with the highest IoU@5 % of SegX; None where it is undefined in all."""
    known = {row: scored[row, "iou@5% segx"]["value"] for row in rows(scored)}
    known = {row: value for row, value in known.items() if not np.isnan(value)}
    return max(known, key=known.__getitem__, default=None)


def _certainty(sure: Cells) -> dict:
    """Say how well SegU's best c_IoU tells errors, beside the probability."""
    known = {row: sure[row, "auroc c_iou"] for row in rows(sure)}
    known = {row: cell for row, cell in known.items() if not np.isnan(cell["value"])}
    if not known:
        return line("SegU", "no errors, or nothing but errors, to tell", "undefined")
    best = max(known, key=lambda row: known[row]["value"])
    rival = fraction(sure[best, "auroc maximum_probability"]["value"])
    text = (
        f"AUROC of telling errors: c_IoU of {printed_name(best)} {interval(known[best])}, "
        f"maximum probability {rival}"
    )
    return line("SegU", text, side(sure[best, ALONE]))


def published(claims: pd.DataFrame, paper: str, dataset: str, row: str, metric: str) -> list[dict]:
    """Say how the best row compares with its published value, and how many numbers are reproduced.

    Returns
    -------
    list of dict
        One line; two where the row has a published value.
    """
    claims = claims[(claims.paper == paper) & (claims.dataset == dataset) & claims.ours.notna()]
    claims = claims[claims.unit != "count"]
    if claims.empty:
        return [line("Published", "the paper has no numbers for this data set", "undefined")]
    counts = claims.verdict.value_counts()
    parts = [f"{counts[verdict]} {verdict}" for verdict in VERDICTS if verdict in counts]
    lines = [line("Published", f"of {len(claims)} numbers: {', '.join(parts)}")]
    for one in claims[(claims.row == row) & (claims.metric == metric)].to_dict("records"):
        places = "{:.1f} %" if one["unit"] == "percent" else "{:.3f}"
        where = "above" if one["ours"] > one["published"] else "below"
        text = (
            f"{places.format(one['ours'])} is {where} the published "
            f"{places.format(one['published'])}: {one['verdict']} ({one['reason']})"
        )
        lines.insert(0, line("Published", text, one["verdict"]))
    return lines


def glance(kind: str, told: dict, browser: dict, benchmarks: pd.DataFrame) -> dict:
    """Sum up one data set of one study: its lines, its failures, and what it cost.

    Parameters
    ----------
    kind
        explainseg or segx.
    told
        name, title and summary: the lines of :func:`of_explainseg` or :func:`of_segx`.
    browser, benchmarks
        See :func:`failures` and :func:`cost`.

    Returns
    -------
    dict
        kind and title, as printed, and lines.
    """
    key, lines = f"{kind}/{told['name']}", list(told["summary"])
    if key in browser and "row" in lines[0]:
        names = {one["row"]: name for name, one in browser[key]["methods"].items()}
        lines.append(failures(browser, key, names[lines[0]["row"]]))
    lines.append(cost(benchmarks, told["name"]))
    return {"kind": PRINTED[kind], "title": told["title"], "lines": lines}


def failures(browser: dict, dataset: str, method: str) -> dict:
    """Link to the images on which a method does worst, of those in the browser.

    Parameters
    ----------
    browser
        Data sets as `segxai.page.gallery` describes them.
    dataset, method
        A data set of it, and one of that one's methods.
    """
    one = browser[dataset]
    score, name = next(iter(one["scores"].items()))
    known = [
        (item["scores"][method][score], item["id"])
        for item in one["items"]
        if item["scores"][method][score] is not None
    ]
    view = {"dataset": dataset, "by": method, "score": score, "order": "lowest"}
    links = {
        f"{image} ({value:.{one['digits']}f})": link(view | {"image": image})
        for value, image in sorted(known)[:WORST]
    }
    if any(item["right"] is False for item in one["items"]):
        sure = {"score": "c_iou", "order": "highest", "cases": "wrong"}
        links["the errors of which SegU is the most certain"] = link(view | sure)
    text = f"lowest {name}, of the images below:" if links else "no image to show"
    return line("Fails on", text, links=links)


def link(view: dict[str, str]) -> str:
    """Address of a view of the browser inside the page."""
    return f"#images?{urlencode(view)}"


def cost(benchmarks: pd.DataFrame, dataset: str) -> dict:
    """Sum up the jobs that were for one data set, of both studies where both have it.

    Parameters
    ----------
    benchmarks
        One row per job: stage, dataset and s (`segxai.page.provenance.read_benchmarks`).
    """
    jobs = benchmarks[benchmarks.dataset == dataset]
    if jobs.empty:
        return line("Cost", "not measured")
    stages = jobs.groupby("stage").s.sum().sort_values(ascending=False, kind="stable")
    longest = f"the longest stage is {stages.index[0]} with {duration(stages.iloc[0])}"
    return line("Cost", f"{duration(jobs.s.sum())} in {len(jobs)} jobs; {longest}")
