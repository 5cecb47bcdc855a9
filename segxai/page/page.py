"""Report page: one template for any studies, filled with their tables."""

import numpy as np
import pandas as pd
from jinja2 import DictLoader, Environment, StrictUndefined

from segxai.workflow.shown import CELL

VERDICTS = {"reproduced": "✓", "differs": "≠", "not comparable": "○"}
PRINTED = {"percent": "{:.1f}", "fraction": "{:.3f}", "count": "{:,.0f}"}


def render(texts: dict[str, str], facts: dict) -> str:
    """Fill the page's template.

    Parameters
    ----------
    texts
        ``page.html.j2`` and the files that it includes, by name.
    facts
        Values of the names in the template; a missing name is an error.

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
    environment.filters |= {"duration": duration, "in_unit": in_unit}
    environment.tests["finite"] = np.isfinite
    # Keys keep the order of the study's methods and scores.
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False}
    return environment.get_template("page.html.j2").render({"verdicts": VERDICTS} | facts)


def p_value(p: float) -> str:
    """Print a p value: ``p = 0.012``, or ``p < 0.001``."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def in_unit(value: float, unit: str) -> str:
    """Print a percentage with one decimal, a fraction with three, a count with none."""
    return "–" if np.isnan(value) else PRINTED[unit].format(value).replace("-", "−")


def signed(value: float, unit: str) -> str:
    """Print a difference with its sign."""
    return ("+" if value > 0 else "") + in_unit(value, unit)


def duration(seconds: float) -> str:
    """Print a time with the unit that suits it."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


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


def published(claims: pd.DataFrame, titles: dict[str, str]) -> dict:
    """Published numbers with a counterpart in the run, and the number of others.

    Returns
    -------
    dict
        claims, as records with the number's name; counts of each verdict among them; and absent,
        the number of others.
    """
    shown = claims[claims.dataset.isin(titles) & claims.ours.notna()]
    counts = shown.verdict.value_counts()
    keys = [name for name in ("network", "explainer", "segmenter", "row", *CELL) if name in claims]
    usual = ("mean", "all", "")
    return {
        "claims": [
            claim | {"number": ", ".join(claim[key] for key in keys if claim[key] not in usual)}
            for claim in shown.to_dict("records")
        ],
        "counts": {verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS},
        "absent": len(claims) - len(shown),
    }
