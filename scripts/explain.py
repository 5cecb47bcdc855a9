"""Relevance maps of one shard of the explained images, one for each predicted label."""

import time

import numpy as np
import pandas as pd
import torch

from segxai.data.arrays import read_array
from segxai.data.cache import image_cache, job_key
from segxai.data.records import read_rows
from segxai.data.samples import background_rows, explained_rows
from segxai.explain.integrated_gradients import completeness_error
from segxai.explain.registry import explain
from segxai.explain.relevance import relevance
from segxai.models.classifier import Classifier
from segxai.runtime import (
    InputError,
    image_seed,
    job,
    log,
    progress,
    torch_device,
    usable_precision,
)

COLUMNS = ["image_id", "target", "completeness_error", "seconds"]


def main(
    samples,
    images,
    statistics,
    weights,
    predictions,
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
    targets = read_rows(predictions).query("predicted == 1").groupby("image_id")["class"].agg(list)
    settings, background = dict(explainer), None
    settings["precision"] = usable_precision(settings["precision"], device)
    if count := settings.pop("background", None):
        others = background_rows(table, count, seed)
        background = torch.cat([classifier.inputs(pixels[row], grid) for row in others])

    shape = pixels.shape[1:3]
    with image_cache(maps, len(chosen), key, shape, np.float16, rows, COLUMNS) as cache:
        rest = chosen[cache.done :]
        for row in progress(rest, len(rest), "images explained"):
            name, found, facts = table.image_id[row], [], []
            for target in targets.get(name, []):
                started = time.perf_counter()
                attribution, gain = explain(
                    classifier,
                    classifier.inputs(pixels[row], grid),
                    classes.index(target),
                    background,
                    torch.Generator().manual_seed(image_seed(seed, name)),
                    **settings,
                )
                refuse_nan(attribution, weights, name)
                found.append(relevance(attribution, grid, shape).astype(np.float16))
                error = completeness_error(attribution, gain)
                facts.append((name, target, error, time.perf_counter() - started))
            cache.append(found, facts)
    facts = pd.DataFrame(cache.facts, columns=COLUMNS)
    means = len(facts), facts.completeness_error.median(), facts.seconds.mean()
    log.info("%d maps: median completeness error %.3f, %.2f s per map", *means)
    if unpredicted := (~table.image_id[chosen].isin(targets.index)).sum():
        log.warning("%d images have no map: no label is predicted for them", unpredicted)


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
