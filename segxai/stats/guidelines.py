"""Which explainers may be used: admissible by controls, completeness and budget, then the best."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from segxai.stats.bootstrap import bootstrap_mean
from segxai.stats.cells import column, level
from segxai.stats.comparisons import per_target
from segxai.stats.gate import randomisation_gate
from segxai.stats.tables import Rows, alike
from segxai.stats.tests import paired_tests

# A pass forward and backward counts as two forward passes: measured, 1.9 to 2.3.
GRADIENT = 2
LEVEL = 0.05
COLUMNS = [
    *("dataset", "network", "goal", "budget", "explainer", "value", "passes", "completeness_error"),
    *("similarity", "null", "control", "gain", "ci_low", "ci_high", "p_holm"),
    *("admissible", "recommended", "reason"),
]


def judge(rows: Rows, spec: dict, statistics: dict) -> pd.DataFrame:
    """Judge each explainer for each goal and budget, within data set and network.

    An explainer is *admissible* if its mean number of passes is within the budget, its mean
    completeness error within the bound where it promises a sum, it passes the randomisation gate
    where that was measured (:func:`segxai.stats.gate.randomisation_gate`), and the interval of its
    gain over the best control lies above 0. It is *recommended* if it is admissible and not
    significantly worse than the best admissible one (paired Wilcoxon tests, Holm's procedure): a
    set, which may be empty.

    Parameters
    ----------
    rows
        As of :func:`segxai.stats.tables.table_rows`, by network and explainer.
    spec
        ``goals``, the value by which explainers are judged for each; ``controls``, explainers that
        see no network or no class; ``budgets`` in forward passes; ``completeness``, the bound; and
        ``directions`` of the metrics.
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    DataFrame
        `COLUMNS`: value and gain are means, positive gains are better whatever the direction;
        `reason` says what makes an explainer inadmissible.
    """
    lines = [
        {"dataset": own[0][0]["dataset"], "network": own[0][0]["network"], "goal": goal} | line
        for own in alike(rows, spec)
        for goal, value in spec["goals"].items()
        for line in _of_goal(own, value, spec, statistics)
    ]
    return pd.DataFrame(lines, columns=COLUMNS)


def _of_goal(rows: Rows, value: dict, spec: dict, statistics: dict) -> Iterator[dict]:
    """Lines of one goal in one network, budget by budget."""
    sign = -1 if spec["directions"][value["metric"]] == "lower" else 1
    scores = pd.concat(
        {keys["explainer"]: sign * per_target(frame, value) for keys, frame in rows}, axis=1
    )
    controls = scores.columns.intersection(spec["controls"])
    if controls.empty:
        return
    best_control = scores[controls].mean().idxmax()
    known = {
        keys["explainer"]: _facts(scores, keys["explainer"], frame, best_control, statistics)
        for keys, frame in rows
        if keys["explainer"] not in controls
    }
    for budget in spec["budgets"]:
        reasons = {name: _reason(facts, budget, spec) for name, facts in known.items()}
        admissible = [name for name, reason in reasons.items() if not reason]
        p = _worse_than_best(scores[admissible])
        for name, facts in known.items():
            yield facts | {
                "budget": budget,
                "explainer": name,
                "value": sign * scores[name].mean(),
                "control": best_control,
                "p_holm": p.get(name, np.nan),
                "admissible": int(name in admissible),
                "recommended": int(p.get(name, 0) >= LEVEL),
                "reason": reasons[name],
            }


def _facts(
    scores: pd.DataFrame, name: str, frame: pd.DataFrame, control: str, statistics: dict
) -> dict[str, float]:
    """What one explainer costs, promises, and gains over the best control."""
    difference = scores[name] - scores[control]
    groups = difference.index.get_level_values("group")
    gain, low, high = bootstrap_mean(difference.to_numpy(), groups, **statistics)
    gradients, forwards, error = (
        column(frame, {"metric": metric}) for metric in ("gradients", "forwards", "completeness")
    )
    known = error[~np.isnan(error)]
    similarity, null = (
        column(frame, {"metric": metric}) for metric in ("randomisation", "randomisation_null")
    )
    gate = randomisation_gate(similarity, null, level(frame, "group"), **statistics)
    return {
        "similarity": gate.mean,
        "null": gate.bound,
        "passed": gate.passed or np.isnan(similarity).all(),
        "passes": float(np.mean(GRADIENT * gradients + forwards)),
        "completeness_error": float(known.mean()) if len(known) else np.nan,
        "gain": gain,
        "ci_low": low,
        "ci_high": high,
    }


def _reason(facts: dict[str, float], budget: int, spec: dict) -> str:
    """Say why an explainer is not admissible; nothing where it is."""
    if not facts["passes"] <= budget:
        return "over the budget"
    if facts["completeness_error"] > spec["completeness"]:
        return "incomplete"
    if not facts["passed"]:
        return "independent of the weights"
    return "" if facts["ci_low"] > 0 else "not better than a control"


def _worse_than_best(scores: pd.DataFrame) -> dict[str, float]:
    """Adjusted p of each column being worse than the best one, which has 1 itself."""
    if scores.empty or scores.isna().all(axis=None):
        return {}
    best = scores.mean().idxmax()
    others = [name for name in scores if name != best]
    tested = paired_tests(scores, [(best, name) for name in others])
    return {best: 1.0} | dict(zip(others, tested.p_holm, strict=True))


def regrets(judged: pd.DataFrame, usual: str, directions: dict[str, str]) -> pd.DataFrame:
    """How much is lost on a data set by choosing an explainer on the others.

    Parameters
    ----------
    judged
        As of :func:`judge`.
    usual
        The explainer of "always the same", for comparison.
    directions
        ``higher`` or ``lower`` by goal.

    Returns
    -------
    DataFrame
        dataset, which is held out; network, goal, budget; the explainer that is recommended most
        often on the other data sets, and of those the one of the best mean rank; its regret, the
        best mean on the held-out data set less its own, and that of the usual one. NaN where none
        is recommended. Empty for a single data set.
    """
    lines = []
    for key, own in judged.groupby(["network", "goal", "budget"], sort=False):
        sign = -1 if directions[key[1]] == "lower" else 1
        own = own.assign(value=sign * own.value)
        own["rank"] = own.groupby("dataset").value.rank(ascending=False)
        for held_out in own.dataset.unique() if own.dataset.nunique() > 1 else []:
            others, here = own[own.dataset != held_out], own[own.dataset == held_out]
            sums = others.groupby("explainer").agg({"recommended": "sum", "rank": "mean"})
            sums = sums[sums.recommended > 0].sort_values(
                ["recommended", "rank"], ascending=[False, True]
            )
            chosen = sums.index[0] if len(sums) else ""
            values = here.set_index("explainer").value
            lines.append(
                dict(zip(["network", "goal", "budget"], key, strict=True))
                | {"dataset": held_out, "chosen": chosen, "usual": usual}
                | {
                    "regret": values.max() - values.get(chosen, np.nan),
                    "usual_regret": values.max() - values.get(usual, np.nan),
                }
            )
    names = ["dataset", "network", "goal", "budget", "chosen", "regret", "usual", "usual_regret"]
    return pd.DataFrame(lines, columns=names)


def printed(judged: pd.DataFrame, titles: dict, names: dict) -> pd.DataFrame:
    """Lay the guidelines out: a line per data set, network, goal and budget; "none here" allowed.

    Explainers are those recommended, by their mean, each with its gain over the best control.
    """
    lines = []
    for key, own in judged.groupby(["dataset", "network", "goal", "budget"], sort=False):
        chosen = own[own.recommended == 1].sort_values("gain", ascending=False)
        texts = [
            f"{names['explainer'][line.explainer]} (+{line.gain:.3f} [{line.ci_low:.3f}, "
            f"{line.ci_high:.3f}], {line.passes:,.0f} passes)"
            for line in chosen.itertuples()
        ]
        lines.append({
            "Data set": titles[key[0]],
            "Network": names["network"][key[1]],
            "Goal": key[2],
            "Budget, passes": f"{key[3]:,}",
            "Best control": names["explainer"][own.control.iloc[0]],
            "Recommended": "; ".join(texts) or "none here",
            "Admissible": f"{own.admissible.sum()} of {len(own)}",
        })  # fmt: skip
    return pd.DataFrame(lines)
