"""Tests of the rows of a table against each other, or of two parts of one row."""

from collections.abc import Iterable
from itertools import combinations

import numpy as np
import pandas as pd

from segxai.stats.bootstrap import bootstrap_mean
from segxai.stats.cells import SUBSETS, column
from segxai.stats.ranks import friedman, rank_rows
from segxai.stats.tables import KEYS, Rows, alike
from segxai.stats.tests import holm, mann_whitney, paired_tests
from segxai.workflow.studies import values

# Keys in which the two sides of a test may differ.
SIDE = [*KEYS[1:], "view", "where"]
EFFECT = ["n", "n_second", "mean_difference", "ci_low", "ci_high", "effect", "p", "p_holm"]
SIDES = [f"{side}_{key}" for side in ("first", "second") for key in SIDE]
COLUMNS = ["dataset", "metric", "reference", *SIDES, *EFFECT]

Side = tuple[dict[str, str], pd.Series]


def compare(rows: Rows, spec: dict, segmenters: dict[str, dict], statistics: dict) -> pd.DataFrame:
    """Test what a table declares under ``tests``; Holm's procedure within data set and metric.

    Parameters
    ----------
    rows
        See :func:`segxai.stats.tables.table_rows`; of one subset of the images.
    spec
        The declared table. ``wilcoxon`` tests are paired by image, or by image and target, scores
        averaged over seeds: of two views of each row, of all pairs of rows or of the first row
        with each other one, or of the best row of those that are alike but for their last key with
        the others; of segmenters of some ``roles`` only. ``mann_whitney`` compares the correct with
        the incorrect predictions of each row. ``friedman`` is of all rows that are alike at once,
        ranked target by target.
    segmenters
        Definitions, with their role.
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    DataFrame
        `COLUMNS`. mean_difference is first − second in the table's unit, over n observations that
        both have, with its bootstrap interval; effect is the probability that a correct prediction
        has the higher score, of n correct and n_second incorrect ones, undefined scores left out;
        of ``friedman`` tests it is Kendall's W of n targets that rank n_second methods.
    """
    tests, results = spec.get("tests"), []
    if not tests:
        return pd.DataFrame(columns=COLUMNS)
    if roles := tests.get("roles"):
        rows = [row for row in rows if segmenters[row[0]["segmenter"]]["role"] in roles]
    views = tests.get("view", "")
    views = views if isinstance(views, list) else [views]
    measure = {key: tests[key] for key in ("metric", "reference") if key in tests}
    scale = 100 if spec["unit"] == "percent" else 1
    for dataset in dict.fromkeys(keys["dataset"] for keys, _ in rows):
        own = [row for row in rows if row[0]["dataset"] == dataset]
        for value in values({"values": [measure]}):
            alone = value | {"view": views[0]}
            direction = spec.get("directions", {}).get(value["metric"])
            if tests["kind"] == "friedman":
                families = [_friedman(some, alone, direction) for some in alike(own, spec)]
            elif tests["kind"] == "mann_whitney":
                families = [_mann_whitney(own, alone)]
            elif tests.get("pairs") == "best":
                pairs = [_from_best(some, alone, direction) for some in alike(own, spec)]
                families = [_wilcoxon(some, scale, statistics) for some in pairs]
            else:
                pairs = _pairs(own, value, views, tests.get("pairs"))
                families = [_wilcoxon(pairs, scale, statistics)]
            results += [family.assign(dataset=dataset, **value) for family in families]
    return pd.concat(results)[COLUMNS] if results else pd.DataFrame(columns=COLUMNS)


def _pairs(
    rows: Rows, value: dict, views: list[str], pairs: str | None
) -> Iterable[tuple[Side, Side]]:
    """The two sides of each test of a family."""
    sides = [
        [(keys | {"view": view}, per_target(frame, value | {"view": view})) for view in views]
        for keys, frame in rows
    ]
    if len(views) == 2:
        return sides
    alone = [side for (side,) in sides]
    return combinations(alone, 2) if pairs == "all" else [(alone[0], side) for side in alone[1:]]


def _from_best(rows: Rows, value: dict, direction: str) -> list[tuple[Side, Side]]:
    """The best row by its mean, with each other one."""
    sides = [(keys | {"view": value["view"]}, per_target(frame, value)) for keys, frame in rows]
    means = np.array([scores.mean() for _, scores in sides])
    if np.isnan(means).all():
        return []
    best = sides[np.nanargmax(means) if direction == "higher" else np.nanargmin(means)]
    return [(best, side) for side in sides if side is not best]


def _friedman(rows: Rows, value: dict, direction: str) -> pd.DataFrame:
    """One test of all rows that are alike; it is named by what they share."""
    scores = pd.concat([per_target(frame, value) for _, frame in rows], axis=1)
    ranks = rank_rows(scores, direction).to_numpy()
    w, p = friedman(ranks)
    shared = {key: name for key, name in rows[0][0].items() if all(r[0][key] == name for r in rows)}
    n = int((~np.isnan(ranks).any(axis=1)).sum())
    about = {"n": n, "n_second": len(rows), "effect": w, "p": p}
    return _adjusted([_sides(shared | {"view": value["view"]}, {}) | about])


def per_target(frame: pd.DataFrame, value: dict) -> pd.Series:
    """Scores averaged over the seeds of an image, or of a target of an image."""
    names = [name for name in ("image_id", "target_id", "group") if name in frame.index.names]
    scores = pd.Series(column(frame, value), frame.index)
    return scores.groupby(names, sort=False).mean()


def _wilcoxon(pairs: Iterable[tuple[Side, Side]], scale: float, statistics: dict) -> pd.DataFrame:
    results = []
    for (first, first_scores), (second, second_scores) in pairs:
        both = scale * pd.concat([first_scores, second_scores], axis=1, keys=["first", "second"])
        difference = both["first"] - both["second"]
        groups = difference.index.get_level_values("group")
        _, low, high = bootstrap_mean(difference.to_numpy(), groups, **statistics)
        tested = paired_tests(both, [("first", "second")]).iloc[0]
        effect = {key: tested[key] for key in ("n", "mean_difference", "p")}
        results.append(_sides(first, second) | effect | {"ci_low": low, "ci_high": high})
    return _adjusted(results)


def _mann_whitney(rows: Rows, value: dict) -> pd.DataFrame:
    results = []
    for keys, frame in rows:
        scores = column(frame, value)
        samples = [scores[SUBSETS[where](frame)] for where in ("correct", "incorrect")]
        samples = [sample[~np.isnan(sample)] for sample in samples]
        effect, p = mann_whitney(*samples)
        about = {"n": len(samples[0]), "n_second": len(samples[1]), "effect": effect, "p": p}
        sides = [keys | {"view": value["view"], "where": w} for w in ("correct", "incorrect")]
        results.append(_sides(*sides) | about)
    return _adjusted(results)


def _sides(first: dict[str, str], second: dict[str, str]) -> dict[str, str]:
    """Name both sides of a test."""
    return dict(zip(SIDES, [s.get(key, "") for s in (first, second) for key in SIDE], strict=True))


def _adjusted(results: list[dict]) -> pd.DataFrame:
    """Adjust the p values of one family of tests."""
    table = pd.DataFrame(results, columns=COLUMNS).astype(dict.fromkeys(EFFECT, float))
    return table.assign(p_holm=holm(table.p.to_numpy()))
