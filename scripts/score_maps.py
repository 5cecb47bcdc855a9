"""Scores of explanations: one row per target and value."""

from functools import partial

import numpy as np

from segxai.datasets.splits import VALIDATION
from segxai.explain.maps import read_maps
from segxai.images.arrays import read_array
from segxai.images.masks import read_masks
from segxai.job.files import read_rows, write_table
from segxai.job.log import run
from segxai.job.parallel import map_images
from segxai.job.seeds import image_seed
from segxai.metrics.disturbance import Disturbance
from segxai.metrics.iou_validation import best_size
from segxai.metrics.scoring import (
    KNOWN,
    Explained,
    Plan,
    known_union,
    log_scores,
    measure_map,
    places,
    tidy,
)
from segxai.metrics.squares import Response, square_sets
from segxai.segmenters.writing import mask_key


def main(
    targets, samples, maps, rows, truth, outlines, requests, cell, seed, classes, scores, threads,
    scope="union", segmentation=None, segmentation_rows=None, markers=None, predictions=None,
    labels=None, curves=None, curve_rows=None, removals=(), falls=None, fall_rows=None, fills=(),
    disturbed=None, disturbed_rows=None, other_maps=(), other_rows=(),
):  # fmt: skip
    table = listed = read_rows(targets)
    if labels is not None:
        table = table[table.label.isin(labels)]
    attributions = read_maps(maps, rows)
    places(attributions.table.target_id, listed.target_id, rows)
    table = table[table.target_id.isin(attributions.table.target_id)]
    explained = places(table.target_id, attributions.table.target_id, rows)
    table = table.assign(constant=attributions.table.constant.to_numpy()[explained])
    known_images = read_rows(samples)
    truths = read_masks(truth, outlines, known_images)
    outlined = known_images[(known_images.split == VALIDATION) & (known_images.mask_pixels > 0)]
    size = best_size(outlined.mask_pixels.to_numpy(float) / np.prod(truths.shape[-2:]))
    marker = None if markers is None else read_array(markers)
    parts = zip(
        table.itertuples(),
        explained,
        segmentations(segmentation, segmentation_rows, table),
        probabilities(predictions, table, classes),
        removal_curves(rows_of(curves, curve_rows, table), removals),
        square_responses(rows_of(falls, fall_rows, table), table, fills, seed),
        disturbances(rows_of(disturbed, disturbed_rows, table)),
        of_other_seeds(other_maps, other_rows, table),
        attributions.table.iloc[explained].to_dict("records"),
        strict=True,
    )
    items = (
        Explained(
            stored=attributions[place],
            shape=truths.shape[-2:],
            references=references(truths, marker, target, scope),
            segmentation=mask,
            seed=image_seed(seed, target.image_id),
            known={"segmentation_confidence": confidence, "facts": facts, "validation_size": size}
            | {name: part for own in others for name, part in own.items()},
        )
        for target, place, (mask, confidence), *others, facts in parts
    )
    plan = Plan(requests)
    work = partial(measure_map, plan=plan)
    measured = list(map_images(work, items, len(table), threads, "maps scored"))
    result = tidy(table[KNOWN], measured, plan, seed=seed, **cell)
    # Other scores say nothing of a map's contrast.
    of_map = (result.view != "") | result.metric.isin(plan.of_maps)
    result = result.assign(constant=result.constant.where(of_map))
    write_table(scores, result)
    log_scores(result, len(table), "maps")


def references(truths, marker, target, scope) -> dict:
    """References of a map besides the segmentation."""
    own, union = truths.of(target.row, target.channel), known_union(truths, target.row)
    findings = union if scope == "union" else own
    truth = own if target.kind == "label" else findings
    masks = {"truth": truth, "findings": findings}
    if marker is not None:
        masks["marker"] = marker[target.row]
    return {name: None if mask is None else mask.astype(bool) for name, mask in masks.items()}


def segmentations(masks, rows, targets):
    """Yield the segmentation of each target and the segmenter's confidence."""
    if masks is None:
        yield from [(None, np.nan)] * len(targets)
        return
    arrays, table = read_array(masks), read_rows(rows)
    key = mask_key(table)
    for place, channel in zip(places(targets[key], table[key], rows), targets.channel, strict=True):
        mask, confidence = arrays[place], "confidence"
        if mask.ndim == 3:
            mask, confidence = mask[channel], f"confidence_{channel}"
        yield mask.astype(bool), table[confidence].iat[place] if confidence in table else np.nan


def rows_of(array, rows, targets):
    """Yield each target's row of an array; None for one that no metric asked the network about."""
    stored = {}
    if array is not None:
        stored = dict(zip(read_rows(rows).target_id, read_array(array), strict=True))
    yield from map(stored.get, targets.target_id)


def removal_curves(rows, removals):
    """Yield the curves of each target by fill, steps and scale."""
    keys = [(removal["fill"], removal["steps"], removal["scale"]) for removal in removals]
    for row in rows:
        parts = {} if row is None else dict(zip(keys, row, strict=True))
        yield {"curves": {key: part[:, : key[1] + 1] for key, part in parts.items()}}


def square_responses(rows, targets, fills, seed):
    """Yield how each target responds to the removal of squares, by fill."""
    for row, image in zip(rows, targets.image_id, strict=True):
        parts = {} if row is None else dict(zip((f["fill"] for f in fills), row, strict=True))
        sets = square_sets(image_seed(seed, image)) if parts else None
        yield {"responses": {fill: Response(sets, part) for fill, part in parts.items()}}


def disturbances(rows):
    """Yield how the map of each target changes when it is explained again; few of them are."""
    for row in rows:
        yield {"disturbed": None if row is None else Disturbance.of(row)}


def of_other_seeds(maps, rows, targets):
    """Yield the attributions of each target by the networks of other seeds, found by its name."""
    stored = [read_maps(*files) for files in zip(maps, rows, strict=True)]
    placed = [dict(zip(own.table.target_id, range(len(own)), strict=True)) for own in stored]
    for name in targets.target_id:
        made = [
            own[known[name]].signed if name in known else None
            for own, known in zip(stored, placed, strict=True)
        ]
        yield {"other_seeds": tuple(made) or None}


def probabilities(predictions, targets, classes):
    """Yield the class probabilities of a classifier for the image of each target."""
    rows = None if predictions is None else read_rows(predictions)
    if rows is None or "probability" not in rows:
        yield from [{}] * len(targets)
        return
    given = rows.pivot(index="image_id", columns="class", values="probability")[classes]
    thresholds = rows.drop_duplicates("class").set_index("class").threshold[classes].to_numpy()
    place = places(targets.image_id, given.index, predictions)
    for row, label in zip(given.to_numpy()[place], targets.channel, strict=True):
        yield {"probabilities": row, "thresholds": thresholds, "label": label}


if __name__ == "__main__":
    run(main, snakemake)
