"""Everything that is declared to be measured of one map, and the tidy table of it.

A request is a mapping: `segmenter`, the name of the mask that plays the segmentation, or ""; its
`segmenter_definition`; `view`, a definition with its `name`, or None where a mask is measured;
`reference`, a name or ""; and `metric`, a definition with its `name`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from segxai.explain.maps import StoredMap
from segxai.images.masks import Masks
from segxai.job.files import REMAKE
from segxai.job.log import InputError, log
from segxai.metrics.case import Case
from segxai.workflow.plugins import about, load

COLUMNS = [
    *("dataset", "network", "explainer", "segmenter", "seed", "view", "reference", "metric"),
    *("target_id", "image_id", "group", "split", "correct", "value"),
]
# Of them, what is known of each target or image.
KNOWN = ["target_id", "image_id", "group", "split", "correct"]
# What is to be shown: where it is absent, nothing can be aligned with it.
TO_BE_SHOWN = ("truth", "marker")


class Measured(NamedTuple):
    """Names of what a value is of; "" where it is of none."""

    segmenter: str
    view: str
    reference: str
    metric: str


@dataclass(frozen=True)
class Plan:
    """Requests with the functions that answer them, each with its settings.

    Attributes
    ----------
    requests : list of Measured
    metrics, views, segmenters : dict of str to callable
        By name: functions of a case; of a stored map and the shape; of the truth and a seed, for
        the segmentations that are made of the truth.
    refining : set of str
        Views that read the segmentation.
    sizes : set of str
        Metrics of the reference's own size, which is known of an empty one too.
    """

    requests: list[Measured]
    metrics: dict[str, Callable]
    views: dict[str, Callable]
    segmenters: dict[str, Callable]
    refining: set[str]
    sizes: set[str]


@dataclass(frozen=True)
class Explained:
    """One target: its map, and what this may be compared with.

    Attributes
    ----------
    stored : StoredMap
    shape : (H, W)
        The analysis size.
    references : dict of str to ndarray of shape (H, W) or None
        By name: ``truth``, of the target; ``findings``, the truth in the segmenter's scope;
        ``marker``. None where it is unknown.
    segmentation : ndarray of shape (H, W), bool or 0/1, optional
    seed : int
        Of the image.
    confidence : dict
        Of the cases: probabilities, thresholds, label, segmentation_confidence.
    """

    stored: StoredMap
    shape: tuple[int, int]
    references: Mapping[str, np.ndarray | None]
    segmentation: np.ndarray | None
    seed: int
    confidence: Mapping[str, object]


def plan(requests: Sequence[Mapping]) -> Plan:
    """Load the metrics, views and degraded truths that requests name."""
    views = {request["view"]["name"]: request["view"] for request in requests if request["view"]}
    metrics = {request["metric"]["name"]: request["metric"] for request in requests}
    degraded = {
        request["segmenter"]: request["segmenter_definition"]
        for request in requests
        if _reads("segmenters", request["segmenter_definition"], "truth")
    }
    names = [
        Measured(
            request["segmenter"],
            request["view"]["name"] if request["view"] else "",
            request["reference"],
            request["metric"]["name"],
        )
        for request in requests
    ]
    return Plan(
        requests=names,
        metrics=_functions("metrics", metrics, "measure"),
        views=_functions("views", views, "view"),
        segmenters=_functions("segmenters", degraded, "segment"),
        refining={name for name in views if _reads("views", views[name], "segmentation")},
        sizes={name for name in metrics if metrics[name]["method"] == "reference_fraction"},
    )


def measure_map(explained: Explained, plan: Plan) -> dict[Measured, float]:
    """Measure all that is asked of one map, each view and each value once.

    Returns
    -------
    dict of Measured to float
        In the order of the requests; a metric of several values has an entry for each.
    """
    segmentation = cache(partial(_segmentation, explained, plan))
    shown = cache(partial(_shown, explained, plan, segmentation))
    value = cache(partial(_value, explained, plan, segmentation, shown))
    values = {}
    for asked in plan.requests:
        # A map that is not refined, held against the truth, is the same for every segmentation.
        free = asked.view and asked.view not in plan.refining and asked.reference != "segmentation"
        values |= named(asked, value(asked._replace(segmenter="") if free else asked))
    return values


def _segmentation(explained: Explained, plan: Plan, segmenter: str) -> np.ndarray | None:
    """Mask that plays the segmentation: the segmenter's, or one made of the truth."""
    if segmenter not in plan.segmenters:
        return explained.segmentation
    truth = explained.references["findings"]
    return None if truth is None else plan.segmenters[segmenter](truth, explained.seed)


def _shown(
    explained: Explained, plan: Plan, segmentation: Callable, name: str, segmenter: str
) -> dict[str, np.ndarray | None]:
    """View and within of a case; none without the segmentation that the view reads."""
    reads = {}
    if name in plan.refining:
        reads["segmentation"] = segmentation(segmenter)
        if reads["segmentation"] is None:
            return {}
    view = plan.views[name](explained.stored, explained.shape, **reads)
    view, within = view if isinstance(view, tuple) else (view, None)
    return {"view": view.astype(np.float64), "within": within}


def _value(
    explained: Explained, plan: Plan, segmentation: Callable, shown: Callable, asked: Measured
) -> float | dict[str, float]:
    """Answer one request."""
    mask, reference = segmentation(asked.segmenter), explained.references.get(asked.reference)
    if asked.reference == "segmentation":
        reference = mask
    elif asked.reference in TO_BE_SHOWN and asked.metric not in plan.sizes:
        reference = reference if reference is not None and reference.any() else None
    view = {}
    if asked.view:
        view = shown(asked.view, asked.segmenter if asked.view in plan.refining else "")
    case = Case(mask=mask, reference=reference, **view, **explained.confidence)
    return plan.metrics[asked.metric](case)


def measure_mask(case: Case, plan: Plan) -> dict[Measured, float]:
    """Measure all that is asked of one mask, as :func:`measure_map` does of a map."""
    values = {}
    for asked in plan.requests:
        values |= named(asked, plan.metrics[asked.metric](case))
    return values


def known_union(truths: Masks, row: int) -> np.ndarray | None:
    """Give the mask (H, W) of all findings of an image; None where an outline is unknown."""
    classes = range(truths.shape[1]) if truths.per_class else [0]
    return truths.union(row) if all(truths.known(row, label) for label in classes) else None


def named(asked: Measured, value: float | Mapping[str, float]) -> dict[Measured, float]:
    """Give each value of a metric its name: the metric's own, or those of its several values."""
    if isinstance(value, Mapping):
        return {asked._replace(metric=name): number for name, number in value.items()}
    return {asked: value}


def tidy(known: pd.DataFrame, measured: Sequence[Mapping[Measured, float]]) -> pd.DataFrame:
    """One row per target or mask and value.

    Parameters
    ----------
    known : DataFrame, (n,)
        The columns of `COLUMNS` that are the same for all values, and only these.
    measured : sequence of dict of Measured to float, (n,)
        Values of each, all with the same keys.

    Returns
    -------
    DataFrame
        With `COLUMNS`. A `segmenter` in `known` is that of all values.
    """
    names = list(measured[0]) if measured else []
    rows = known.loc[known.index.repeat(len(names))].reset_index(drop=True)
    labels = pd.DataFrame(names * len(measured), columns=Measured._fields)
    values = [value for of_one in measured for value in of_one.values()]
    return (
        labels.drop(columns=rows.columns, errors="ignore").join(rows).assign(value=values)[COLUMNS]
    )


def places(wanted: pd.Series, known: pd.Series, file: str | Path) -> np.ndarray:
    """Where each wanted name stands among the known ones.

    Raises
    ------
    InputError
        If one is not among them: `file` is not of this run.
    """
    found = pd.Index(known).get_indexer(wanted)
    if (found < 0).any():
        name = wanted.to_numpy()[found < 0][0]
        raise InputError(f"{file}: does not fit the other tables at '{name}'; {REMAKE}.")
    return found


def log_means(scores: pd.DataFrame) -> None:
    """Log the mean of each value."""
    for names, rows in scores.groupby(list(Measured._fields), sort=False, dropna=False):
        log.info("%s: mean %.3f", " ".join(filter(None, names)), rows.value.mean())


def _reads(kind: str, definition: Mapping | None, what: str) -> bool:
    return definition is not None and what in about(kind, definition["method"])["reads"]


def _functions(kind: str, definitions: Mapping[str, Mapping], name: str) -> dict[str, Callable]:
    """Load plug-ins, and bind the settings of each to its function."""
    loaded = {entry: load(kind, definition) for entry, definition in definitions.items()}
    return {
        entry: partial(getattr(module, name), **settings)
        for entry, (module, settings) in loaded.items()
    }
