"""Verdicts on published numbers: reproduced, differs, or not comparable and why."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from segxai.stats.tables import pair

COUNTED = ["paper", "table", "dataset", "row", "metric"]
OURS = ["ci_low", "ci_high", "n"]


def claims(
    published: pd.DataFrame,
    table: pd.DataFrame,
    obstacle: Callable[[pd.Series], str],
    notes: dict[tuple[str, str], str],
) -> pd.DataFrame:
    """Set every published mean beside ours, with a verdict.

    Parameters
    ----------
    published
        ``config/published/{paper}.csv`` of all papers, with a column paper.
    table
        All our tidy tables, concatenated.
    obstacle
        Why the network of a claim is not the paper's, or "".
    notes
        Further notes by study and data set.

    Returns
    -------
    DataFrame
        Keys and value (``published``) of each number, then ours, ci_low, ci_high, n, verdict and
        reason. The verdict is ``reproduced`` where the published number lies in our interval,
        ``differs`` where it does not, and ``not comparable`` where the run differs from the
        paper's, does not include the number, or leaves it undefined.
    """
    result = pair(published, table)
    known = table.rename(columns={"value": "ours", "network": "our_network"})
    result = result.join(known[["study", "our_network", "ours", *OURS]], on="place")

    def verdict(claim: pd.Series) -> tuple[str, str]:
        if pd.isna(claim.n):
            return "not comparable", "not part of this run"
        note = notes.get((claim.study, claim.dataset), "")
        outcome, why = _verdict(claim, obstacle)
        return outcome, "; ".join(filter(None, [why, note]))

    keys = published.columns.drop("value")
    return _judged(result, verdict)[[*keys, "published", "ours", *OURS, "verdict", "reason"]]


def count_claims(
    published: pd.DataFrame, summary: pd.DataFrame, parts: dict[str, str]
) -> pd.DataFrame:
    """Set every published count beside that of our summary, with a verdict like :func:`claims`.

    `parts` describes the part of a data set that was used; its counts are not comparable.
    """
    ours = summary.rename(columns={"value": "ours"}).reindex(columns=[*COUNTED, "ours", *OURS])
    result = published.rename(columns={"value": "published"}).merge(ours, how="left", on=COUNTED)
    return _judged(result, lambda claim: _verdict_on_count(claim, parts.get(claim.dataset, "")))


def _judged(claims: pd.DataFrame, verdict: Callable) -> pd.DataFrame:
    judged = [verdict(claim) for _, claim in claims.iterrows()]
    verdicts, reasons = zip(*judged, strict=True) if judged else ((), ())
    n = claims.n.astype("Int64")
    return claims.assign(n=n, verdict=list(verdicts), reason=list(reasons))


def _verdict(claim: pd.Series, obstacle: Callable[[pd.Series], str]) -> tuple[str, str]:
    if np.isnan(claim.ours):
        return "not comparable", "undefined in this run"
    if why := obstacle(claim):
        return "not comparable", why
    if claim.ci_low <= claim.published <= claim.ci_high:
        return "reproduced", "inside our interval"
    gap = claim.ours - claim.published
    size = f"{abs(gap):.1f} points" if claim.unit == "percent" else f"{abs(gap):.3f}"
    side = "higher" if gap > 0 else "lower"
    return "differs", f"ours is {size} {side}, and theirs outside our interval"


def _verdict_on_count(claim: pd.Series, part: str) -> tuple[str, str]:
    if pd.isna(claim.n):
        return "not comparable", "not part of this run"
    if np.isnan(claim.ours):
        return "not comparable", "not counted in this run"
    if claim.ours == claim.published:
        return "reproduced", "the same count"
    if part:
        return "not comparable", part
    gap = claim.ours - claim.published
    return "differs", f"ours is {abs(gap):,.0f} {'higher' if gap > 0 else 'lower'}"
