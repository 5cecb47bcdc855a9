"""Relevance maps of one shard of the explained images, one for each predicted label."""

import time

import numpy as np
import pandas as pd
import torch

from segxai.datasets.samples import background_rows, explained_rows, predicted_labels
from segxai.explain.registry import explain, image_requests
from segxai.images.arrays import read_array
from segxai.job.cache import image_cache, job_key
from segxai.job.device import torch_device
from segxai.job.files import read_facts, read_rows
from segxai.job.log import InputError, job, log, progress
from segxai.networks.network import Classifier
from segxai.views.relevance import relevance

COLUMNS = ["image_id", "target", "completeness_error", "gradients", "forwards", "seconds"]


def main(
    samples,
    images,
    statistics,
    weights,
    predictions,
    precision_check,
    model,
    classes,
    explainer,
    selection,
    grid,
    seed,
    threads,
    key,
    maps,
    rows,
):
    device = torch_device(threads)
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)
    targets = predicted_labels(read_rows(predictions), classes)
    settings, background = dict(explainer), None
    if precision_check:
        settings |= read_facts(precision_check)["used"]
    if count := settings.pop("background", None):
        others = background_rows(table, count, seed)
        background = torch.cat([classifier.inputs(pixels[row], grid) for row in others])

    shape = pixels.shape[1:3]
    with image_cache(maps, len(chosen), key, shape, np.float16, rows, COLUMNS) as cache:
        rest = chosen[cache.done :]
        named = ((table.image_id[row], pixels[row]) for row in rest)
        requests = image_requests(classifier, named, targets, grid, seed)
        attributions = explain(classifier, requests, background, **settings)
        started = time.perf_counter()
        for row in progress(rest, len(rest), "images explained"):
            name, found, facts = table.image_id[row], [], []
            # Of one batch with others, a map takes its share: the time since the one before.
            for target, answer in zip(targets.get(name, []), attributions, strict=False):
                refuse_nan(answer.values, weights, name)
                found.append(relevance(answer.values, grid, shape).astype(np.float16))
                cost = answer.gradients, answer.forwards, time.perf_counter() - started
                facts.append((name, classes[target], answer.completeness_error, *cost))
                started = time.perf_counter()
            cache.append(found, facts)
    tell(pd.DataFrame(cache.facts, columns=COLUMNS))
    if unpredicted := (~table.image_id[chosen].isin([*targets])).sum():
        log.warning("%d images have no map: no label is predicted for them", unpredicted)


def tell(facts):
    log.info(
        "%d maps: median completeness error %.3f, %.1f forward-backward passes and %.2f s per map",
        len(facts),
        *(facts.completeness_error.median(), facts.gradients.mean(), facts.seconds.mean()),
    )


def refuse_nan(attribution, weights, name):
    if not torch.isfinite(attribution).all():
        raise InputError(
            f"{weights}: the attribution of image {name} holds NaN; delete the file and run again "
            "to train it anew, or set `precision: float32`."
        )


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            statistics=snakemake.input.statistics,
            weights=snakemake.input.weights,
            predictions=snakemake.input.predictions,
            precision_check=snakemake.input.precision_check,
            model=snakemake.params.model,
            classes=snakemake.params.classes,
            explainer=snakemake.params.explainer,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            grid=snakemake.params.grid,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.params.threads,
            key=job_key(snakemake),
            maps=snakemake.output.maps,
            rows=snakemake.output.rows,
        )
