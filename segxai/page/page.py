"""The report page: what is said in words is computed from the tables, never typed."""

import json

import numpy as np
import pandas as pd
from jinja2 import DictLoader, Environment, StrictUndefined

SIGNIFICANT = 0.05
VERDICTS = {"reproduced": "✓", "differs": "≠", "not comparable": "○"}
COUNTED = {
    "reproduced": "are reproduced",
    "differs": "differ",
    "not comparable": "cannot be compared",
}
METRICS = {"miou": "IoU", "dice": "Dice"}
PAPERS = {"explainseg": "ExplainSeg", "segx": "SegX"}
PRINTED = {"percent": "{:.1f}", "fraction": "{:.3f}", "count": "{:,.0f}"}
TABLES = {
    "explainseg_ablation": "Table 1: the variants of ExplainSeg",
    "explainseg_baselines": "Table 2: ExplainSeg beside the baselines",
}
SPLITS = {
    "all": "all images",
    "train": "training images",
    "validation": "validation images",
    "test": "test images",
}


def render(texts: dict[str, str], facts: dict) -> str:
    """Fill the page's template.

    Parameters
    ----------
    texts
        ``page.html.j2`` and the files that it includes, by name.
    facts
        What the template names; a missing name is an error.

    Returns
    -------
    str
        HTML.
    """
    environment = Environment(
        loader=DictLoader(texts),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "p_value": p_value,
        "signed": signed,
        "duration": duration,
        "in_unit": in_unit,
    }
    environment.tests["finite"] = np.isfinite
    # Keys keep their order: that of the study's methods and scores.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    words = {
        "splits": SPLITS,
        "headings": TABLES,
        "verdicts": VERDICTS,
        "significant": SIGNIFICANT,
        "metrics": METRICS,
        "papers": PAPERS,
    }
    return environment.get_template("page.html.j2").render(words | facts)


def p_value(p: float) -> str:
    """Print a p value: ``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def signed(value: float) -> str:
    """Print a difference with one decimal and its sign, a true minus."""
    return f"{value:+.1f}".replace("-", "−")


def in_unit(value: float, unit: str) -> str:
    """Print a percentage with one decimal, a fraction with three, a count with none."""
    return PRINTED[unit].format(value)


def duration(seconds: float) -> str:
    """Print a time with the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def outcome(
    dataset: str,
    tables: dict[str, pd.DataFrame],
    tests: dict[str, pd.DataFrame],
    claims: pd.DataFrame,
    study: dict,
) -> dict:
    """Say what came out for one data set: in words, its tables and their tests.

    Parameters
    ----------
    tables, tests
        Tidy tables of `segxai.stats.tables` and their paired tests, by name.
    claims
        Verdicts on the published numbers.
    study
        Rows of the tables: roles (variants, baselines, controls), coarse, and ours, that of
        ExplainSeg in Table 2.

    Returns
    -------
    dict
        answer, sentences; tables as of :func:`arrange` and tests as records, by name.
    """
    roles, ours = study["roles"], study["ours"]
    controls = {"Controls that see no explanation": roles["controls"]}
    groups = {
        "explainseg_ablation": {
            "ExplainSeg, refined by DenseCRF": roles["variants"],
            **controls,
            "ExplainSeg, before DenseCRF": study["coarse"],
        },
        "explainseg_baselines": {
            "ExplainSeg": [ours],
            "Baselines": roles["baselines"],
            **controls,
        },
    }
    means, both = tables["explainseg_ablation"], pd.concat(tests.values())
    return {
        "answer": answer(dataset, means, both, claims, ours, **roles),
        "tables": {
            name: arrange(judged[judged.dataset == dataset], rows)
            for name, rows in groups.items()
            for judged in [with_verdicts(tables[name], claims)]
        },
        "tests": {
            name: table[table.dataset == dataset].to_dict("records")
            for name, table in tests.items()
        },
    }


def answer(
    dataset: str,
    table: pd.DataFrame,
    tests: pd.DataFrame,
    claims: pd.DataFrame,
    ours: str,
    variants: list[str],
    baselines: list[str],
    controls: list[str],
) -> list[str]:
    """Say what came out for one data set: variants, controls, baselines, published numbers.

    Parameters
    ----------
    table
        Means of Table 1 (`segxai.stats.tables.summarise`).
    tests
        Paired tests of Dice of Tables 1 and 2.
    claims
        Verdicts on the published numbers.
    ours
        ExplainSeg's row in Table 2, which is compared with the baselines.
    variants, baselines, controls
        Rows of both tables; the paper's own variant is the last, and the best is compared with the
        controls.

    Returns
    -------
    list of str
        Sentences.
    """
    means = table[
        (table.dataset == dataset) & (table.split == "all") & (table.metric == "dice")
    ].set_index("row")
    tests = tests[tests.dataset == dataset]
    order = means.value[variants].sort_values(ascending=False, kind="stable").index
    best = means.loc[order[0]]
    sentences = [
        f"{order[0]} is the best variant, with a mean Dice of {best.value:.1f} % "
        f"(95 % interval {best.ci_low:.1f} to {best.ci_high:.1f}, n = {best.n:,})."
    ]
    if len(order) > 1:
        sentences.append(_runner_up(order[0], means.loc[order[1]], tests))
    sentences += [_beside(order[0], control, tests) for control in controls]
    sentences += [_beside(ours, baseline, tests) for baseline in baselines]
    return [*sentences, *_published(dataset, means, claims, variants[-1])]


def paired(tests: pd.DataFrame, first: str, second: str) -> tuple[float, float, int]:
    """Mean difference first − second in points, adjusted p and n, in either order of the pair."""
    for one, other, sign in ((first, second, 1), (second, first, -1)):
        found = tests[(tests["first"] == one) & (tests.second == other)]
        if len(found):
            test = found.iloc[0]
            return sign * float(test.mean_difference), float(test.p_holm), int(test.n)
    raise ValueError(f"{first} and {second} were not compared.")


def _runner_up(best: str, second: pd.Series, tests: pd.DataFrame) -> str:
    """Compare the best variant with the next on the images where both have a score."""
    # Means leave out undefined scores, of each method its own: the pair may disagree with them.
    gap, p, n = paired(tests, best, second.name)
    sure = "more than chance gives" if p < SIGNIFICANT else "too little to tell from chance"
    return (
        f"{second.name} comes next with {second.value:.1f} %; on the {n:,} images that both have a "
        f"score for, {best} lies {_side(gap)}, {sure} ({p_value(p)})."
    )


def _side(gap: float) -> str:
    """Put a difference in points into words."""
    return f"{abs(gap):.1f} points {'above' if gap > 0 else 'below'}"


def _beside(variant: str, other: str, tests: pd.DataFrame) -> str:
    """Say whether a variant beats a baseline, or a control that sees no explanation."""
    gap, p, _ = paired(tests, variant, other)
    control = other.removeprefix("Control ")
    name = other if control == other else f"the control “{control}”"
    if p >= SIGNIFICANT:
        return f"{variant} cannot be told from {name}: {_side(gap)}, {p_value(p)}."
    if gap > 0:
        return f"{variant} beats {name} by {gap:.1f} points ({p_value(p)})."
    return f"{variant} falls {-gap:.1f} points short of {name} ({p_value(p)})."


def _published(dataset: str, means: pd.DataFrame, claims: pd.DataFrame, headline: str) -> list[str]:
    """Say how the published Tables 1 and 2 fare on a data set."""
    claims = claims[(claims.paper == "explainseg") & claims.table.astype(str).isin(["1", "2"])]
    claims = claims[claims.dataset == dataset]
    if claims.empty:
        return ["The paper has no numbers for this data set, so there is nothing to reproduce."]
    ours = means.loc[headline]
    sentences = [
        f"The paper reports {ours.published:.1f} % for {headline}; here it reaches "
        f"{ours.value:.1f} % ({ours.ci_low:.1f} to {ours.ci_high:.1f})."
    ]
    counts = claims.verdict.value_counts()
    parts = [f"{counts.get(verdict, 0)} {word}" for verdict, word in COUNTED.items()]
    sentences.append(f"Of its {len(claims)} numbers in Tables 1 and 2, {', '.join(parts)}.")
    for reason in claims[claims.verdict == "not comparable"].reason.unique():
        sentences.append(f"Not comparable: {reason}.")
    return sentences


def arrange(table: pd.DataFrame, groups: dict[str, list[str]]) -> dict[str, dict]:
    """Arrange one data set's part of a table by split, group of rows and row.

    Parameters
    ----------
    table
        Tidy table of one data set.
    groups
        Heading of each group of rows, and its rows in order.

    Returns
    -------
    dict
        By split: published, whether any row has a published value beside it, and groups, where
        ``[heading][row][metric]`` is the tidy row as a dict; numbers are in percent.
    """
    cells = {(r["split"], r["row"], r["metric"]): r for r in table.to_dict("records")}
    return {
        split: {
            "published": bool(table[table.split == split].published.notna().any()),
            "groups": {
                heading: {
                    row: {metric: cells[split, row, metric] for metric in METRICS} for row in rows
                }
                for heading, rows in groups.items()
            },
        }
        for split in SPLITS
        if (table.split == split).any()
    }


def with_verdicts(table: pd.DataFrame, claims: pd.DataFrame) -> pd.DataFrame:
    """Add to a tidy table the verdict on each published number; empty where there is none."""
    keys = ["dataset", "row", "metric"]
    found = claims.set_index([claims.paper, claims.table.astype(str), *keys]).verdict.to_dict()
    names = zip(table.paper, table.table.astype(str), *(table[key] for key in keys), strict=True)
    return table.assign(verdict=[found.get(name, "") for name in names])


def claims(table: pd.DataFrame, titles: dict[str, str]) -> dict:
    """Those published numbers that a run of some data sets can stand beside.

    Returns
    -------
    dict
        claims, as records, and absent, the number of all others.
    """
    shown = table[table.dataset.isin(titles) & table.ours.notna()]
    return {"claims": shown.to_dict("records"), "absent": len(table) - len(shown)}


def tuning(trials: pd.DataFrame) -> dict:
    """Settings that the search changed, with the validation Dice in percent before and after.

    Parameters
    ----------
    trials
        Trials of one segmenter: stage, settings (JSON), dice, default, chosen, n.

    Returns
    -------
    dict
        tried, n, coarse and refined (before, after), and changes: key, default, chosen.
    """
    result = {"tried": len(trials), "n": int(trials.n.max()), "changes": []}
    for stage, rows in trials.groupby("stage", sort=False):
        default, chosen = rows[rows.default].iloc[0], rows[rows.chosen].iloc[0]
        result[stage] = (100 * default.dice, 100 * chosen.dice)
        before, after = json.loads(default.settings), json.loads(chosen.settings)
        result["changes"] += [
            (key, before[key], after[key]) for key in before if before[key] != after[key]
        ]
    return result


def completeness(facts: pd.DataFrame) -> dict[str, float]:
    """Number of maps; of those that promise a sum, median and 90th percentile of its error in %."""
    error = 100 * facts.completeness_error.dropna()
    spread = {"median": error.median(), "ninety": error.quantile(0.9)} if len(error) else {}
    return {"n": len(facts), **spread}


def cuts(facts: pd.DataFrame) -> dict[str, float]:
    """Sum up the cuts of TokenCut or MaskCut over images.

    Parameters
    ----------
    facts
        One row per image: objects, eigengap, dense, problem (`segxai.segmenters.tokens`).

    Returns
    -------
    dict
        n images, objects per image, eigengap, the smallest, dense, how often the dense solver was
        asked, and uncut, the number of images without a cut.
    """
    return {
        "n": len(facts),
        "objects": facts.objects.mean(),
        "eigengap": facts.eigengap.min(),
        "dense": int(facts.dense.sum()),
        "uncut": int(facts.problem.notna().sum()),
    }


def costs(benchmarks: pd.DataFrame) -> list[dict]:
    """Jobs, wall time in seconds and peak memory in MiB of each stage, the longest first.

    Parameters
    ----------
    benchmarks
        One row per job: stage, s, max_rss; either may be NaN for a job too short to be measured.
    """
    stages = benchmarks.groupby("stage", as_index=False).agg(
        jobs=("s", "size"), seconds=("s", "sum"), memory=("max_rss", "max")
    )
    return stages.sort_values("seconds", ascending=False, kind="stable").to_dict("records")


def headings(texts: dict[str, str]) -> dict[str, list[str]]:
    """Second-level headings of each of the texts that is Markdown."""
    return {
        name: [line[3:].strip() for line in text.splitlines() if line.startswith("## ")]
        for name, text in texts.items()
        if name.endswith(".md")
    }


def part(files: list, place: int, count: int) -> list:
    """Part `place` of `count` of a list that holds as many files of each data set in turn."""
    size = len(files) // count
    return list(files[place * size : (place + 1) * size])


def origin(card: dict) -> str:
    """Say where a classifier's weights came from before fine-tuning."""
    if card["weights"] is not None:
        # The folder is this machine's business.
        return f"started from the local file {str(card['weights']).rpartition('/')[2]}"
    return (
        "started from timm's pretrained weights" if card["pretrained"] else "trained from scratch"
    )
