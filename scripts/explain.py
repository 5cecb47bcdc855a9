"""Relevance maps of one shard of the explained images, one for each predicted label."""

import time

import numpy as np
import pandas as pd
import torch

from segxai.data.arrays import npy_rows, read_array
from segxai.data.records import read_rows
from segxai.data.samples import background_rows, explained_rows
from segxai.explain.integrated_gradients import completeness_error
from segxai.explain.registry import explain
from segxai.explain.relevance import relevance
from segxai.models.classifier import Classifier
from segxai.runtime import (
    InputError,
    atomic_path,
    image_seed,
    job,
    log,
    progress,
    torch_device,
    usable_precision,
)


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

    facts, unpredicted = [], 0
    shape = pixels.shape[1:3]
    with atomic_path(maps) as path, npy_rows(path, shape, np.float16) as append:
        for row in progress(chosen, len(chosen), "images explained"):
            name = table.image_id[row]
            unpredicted += name not in targets
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
                append(relevance(attribution, grid, shape).astype(np.float16))
                error = completeness_error(attribution, gain)
                facts.append((name, target, error, time.perf_counter() - started))
    facts = pd.DataFrame(facts, columns=["image_id", "target", "completeness_error", "seconds"])
    means = len(facts), facts.completeness_error.median(), facts.seconds.mean()
    log.info("%d maps: median completeness error %.3f, %.2f s per map", *means)
    if unpredicted:
        log.warning("%d images have no map: no label is predicted for them", unpredicted)
    with atomic_path(rows) as path:
        facts.to_csv(path, index=False, float_format="%.6g")


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
            maps=snakemake.output.maps,
            rows=snakemake.output.rows,
        )
