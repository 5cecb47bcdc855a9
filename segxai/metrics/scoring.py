"""Measurement of the declared scores of one map or mask, and the tidy table of scores.

A request is a mapping: `segmenter`, the name of the mask used as segmentation, or ""; its
`segmenter_definition`; `view`, a definition with its `name`, or None where a mask is measured;
`reference`, a name or ""; and `metric`, a definition with its `name`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    *("target_id", "image_id", "group", "split", "correct", "constant", "value"),
]
# Those of a target or image; `constant`: whether its map lacks contrast.
KNOWN = ["target_id", "image_id", "group", "split", "correct", "constant"]
# What metrics read that follows from a map itself, beside its views.
OF_MAPS = ("attribution", "curves", "disturbed")


class Measured(NamedTuple):
    """Names that identify a value; "" where one does not apply."""

    segmenter: str
    view: str
    reference: str
    metric: str


class Plan:
    """Requests, as `Measured`, and by name the functions for them with their settings."""

    def __init__(self, requests: Sequence[Mapping]):
        views = {asked["view"]["name"]: asked["view"] for asked in requests if asked["view"]}
        metrics = {asked["metric"]["name"]: asked["metric"] for asked in requests}
        segmenters = {asked["segmenter"]: asked["segmenter_definition"] for asked in requests}
        made = {
            name: definition
            for name, definition in segmenters.items()
            if definition and about("segmenters", definition["method"])["reads"] == ["truth"]
        }
        self.views = _functions("views", views, "view")
        self.metrics = _functions("metrics", metrics, "measure")
        # Segmentations made from the truth.
        self.segmenters = _functions("segmenters", made, "segment")
        self.refining = {name for name, d in views.items() if _reads("views", d, "segmentation")}
        self.of_maps = {
            name
            for name, definition in metrics.items()
            if any(_reads("metrics", definition, part) for part in OF_MAPS)
        }
        self.of_absence = {n for n, d in metrics.items() if _reads("metrics", d, "absence")}
        self.requests = [
            Measured(
                asked["segmenter"],
                asked["view"]["name"] if asked["view"] else "",
                asked["reference"],
                asked["metric"]["name"],
            )
            for asked in requests
        ]


@dataclass(frozen=True)
class Explained:
    """One target: its map and the references of the map.

    Attributes
    ----------
    stored : StoredMap
    shape : (H, W)
        The analysis size.
    references : dict of str to ndarray of shape (H, W), bool, or None
        By name: ``truth`` of the target; ``findings``, the truth in the segmenter's scope;
        ``marker``. None where unknown.
    segmentation : ndarray of shape (H, W), bool, optional
    seed : int
        Of the image.
    known : dict
        Further fields of its cases: what the network says of the image, and how it responds to
        changes of it.
    """

    stored: StoredMap
    shape: tuple[int, int]
    references: Mapping[str, np.ndarray | None]
    segmentation: np.ndarray | None
    seed: int
    known: Mapping[str, object]


def measure_map(explained: Explained, plan: Plan) -> dict[Measured, float]:
    """Measure all requests for one map; each segmentation, view and value is computed once.

    Returns
    -------
    dict of Measured to float
        In the order of the requests; a metric of several values has an entry for each.
    """

    @cache
    def segmentation(segmenter: str) -> np.ndarray | None:
        if segmenter not in plan.segmenters:
            return explained.segmentation
        truth = explained.references["findings"]
        return None if truth is None else plan.segmenters[segmenter](truth, explained.seed)

    @cache
    def shown(name: str, segmenter: str) -> dict[str, np.ndarray | None]:
        reads = {}
        if name in plan.refining:
            reads["segmentation"] = segmentation(segmenter)
            if reads["segmentation"] is None:
                return {}
        view = plan.views[name](explained.stored, explained.shape, **reads)
        view, within = view if isinstance(view, tuple) else (view, None)
        return {"view": view.astype(np.float64), "within": within}

    @cache
    def value(asked: Measured) -> float | dict[str, float]:
        mask, reference = segmentation(asked.segmenter), explained.references.get(asked.reference)
        if asked.reference == "segmentation":
            reference = mask
        refined = asked.segmenter if asked.view in plan.refining else ""
        view = shown(asked.view, refined) if asked.view else {}
        own = explained.known | {"attribution": explained.stored.signed}
        case = Case(mask=mask, reference=reference, **view, **own)
        return _measure(case, asked, plan)

    values = {}
    for asked in plan.requests:
        # The score of an unrefined map against the truth is the same for every segmentation.
        free = asked.view and asked.view not in plan.refining and asked.reference != "segmentation"
        values |= _named(asked, value(asked._replace(segmenter="") if free else asked))
    return values


def measure_mask(case: Case, plan: Plan) -> dict[Measured, float]:
    """Measure all requests for one mask, as :func:`measure_map` does for a map."""
    values = {}
    for asked in plan.requests:
        values |= _named(asked, _measure(case, asked, plan))
    return values


def true_mask(truths: Masks, target) -> np.ndarray | None:
    """True mask (H, W) of a row of the targets: of its label, or of all findings.

    None where an outline is unknown.
    """
    of_label = target.kind == "label"
    return truths.of(target.row, target.channel) if of_label else known_union(truths, target.row)


def known_union(truths: Masks, row: int) -> np.ndarray | None:
    """Mask (H, W) of all findings of an image; None where an outline is unknown."""
    classes = range(truths.shape[1]) if truths.per_class else [0]
    return truths.union(row) if all(truths.known(row, label) for label in classes) else None


def tidy(
    known: pd.DataFrame, measured: Sequence[Mapping[Measured, float]], plan: Plan, **cell: object
) -> pd.DataFrame:
    """One row per target or mask and value, with `COLUMNS`.

    If nothing was measured, each request has one undefined value without an image, so that tables
    have all declared rows.

    Parameters
    ----------
    known : DataFrame, (n,)
        `KNOWN` of each target or mask.
    measured : sequence of dict of Measured to float, (n,)
        Values of each, all with the same keys.
    **cell
        The other `COLUMNS`, shared by all values; so is a `segmenter`, if given.
    """
    if not measured:
        known, measured = known.reindex([-1]), [dict.fromkeys(plan.requests, np.nan)]
    rows = known.loc[known.index.repeat(len(measured[0]))].reset_index(drop=True).assign(**cell)
    names = pd.DataFrame([name for values in measured for name in values], columns=Measured._fields)
    values = [value for values in measured for value in values.values()]
    return names.drop(columns=list(cell), errors="ignore").join(rows).assign(value=values)[COLUMNS]


def places(wanted: pd.Series, known: pd.Series, file: str | Path) -> np.ndarray:
    """Place of each wanted name among the known ones.

    Raises
    ------
    InputError
        If a name is missing: `file` does not belong to this run.
    """
    positions = pd.Index(known).get_indexer(wanted)
    if (positions < 0).any():
        name = wanted.to_numpy()[positions < 0][0]
        raise InputError(f"{file}: does not fit the other tables at '{name}'; {REMAKE}.")
    return positions


def log_scores(scores: pd.DataFrame, n: int, what: str) -> None:
    """Log the mean of each value, and how many values of `n` maps or masks are undefined."""
    for names, rows in scores.groupby(list(Measured._fields), sort=False, dropna=False):
        log.info("%s: mean %.3f", " ".join(filter(None, names)), rows.value.mean())
    log.info("%d values of %d %s, %d undefined", len(scores), n, what, scores.value.isna().sum())


def _measure(case: Case, asked: Measured, plan: Plan) -> float | Mapping[str, float]:
    """Apply a metric, with its reference only if this is not empty.

    All masks and maps are thereby scored on the same images: with an empty reference, overlap is
    undefined whatever was marked. A segmentation is itself a prediction: with an empty one, every
    map scores 0.
    """
    if asked.metric not in plan.of_absence and asked.reference != "segmentation":
        shown = {key: _shown(getattr(case, key)) for key in ("reference", "instances")}
        case = replace(case, **shown)
    return plan.metrics[asked.metric](case)


def _shown(reference: np.ndarray | None) -> np.ndarray | None:
    return None if reference is None or not reference.any() else reference


def _named(asked: Measured, value: float | Mapping[str, float]) -> dict[Measured, float]:
    """Name each value of a metric: by the metric, or by the names of its several values."""
    if isinstance(value, Mapping):
        return {asked._replace(metric=name): number for name, number in value.items()}
    return {asked: value}


def _reads(kind: str, definition: Mapping, what: str) -> bool:
    return what in about(kind, definition["method"])["reads"]


def _functions(kind: str, definitions: Mapping[str, Mapping], name: str) -> dict[str, Callable]:
    """Load plug-ins, and bind the settings of each to its function."""
    loaded = {entry: load(kind, definition) for entry, definition in definitions.items()}
    return {
        entry: partial(getattr(module, name), **settings)
        for entry, (module, settings) in loaded.items()
    }
