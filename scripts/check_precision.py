"""Whether reduced precision or torch.compile keep the maps of a data set's first images."""

import json
from math import nan

import torch

from segxai.datasets.samples import background_rows, explained_rows, predicted_labels
from segxai.explain.precision import CHECKED, EXACT, Agreement, agreement
from segxai.explain.registry import explain, image_requests
from segxai.images.arrays import read_array
from segxai.job.device import torch_device, usable_precision
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.networks.network import Classifier


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
    output,
):
    device = torch_device(threads)
    table = read_rows(samples)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)
    targets = {
        name: labels[:1]
        for name, labels in predicted_labels(read_rows(predictions), classes).items()
    }
    rows = [row for row in explained_rows(table, **selection) if table.image_id[row] in targets]
    settings, background = dict(explainer), None
    if count := settings.pop("background", None):
        others = background_rows(table, count, seed)
        background = torch.cat([classifier.inputs(pixels[row], grid) for row in others])

    def attributions(arithmetic):
        named = ((table.image_id[row], pixels[row]) for row in rows[:CHECKED])
        requests = image_requests(classifier, named, targets, grid, seed)
        return list(explain(classifier, requests, background, **settings | arithmetic))

    asked = {key: settings[key] for key in EXACT}
    possible = asked | {"precision": usable_precision(asked["precision"], device)}
    found = Agreement(0, nan, nan) if possible == EXACT else compare(attributions, possible)
    used = possible if found.kept else EXACT
    log.info("asked for %s, checked on %d images: %s is used", asked, found.images, used)
    with atomic_path(output) as temporary:
        facts = {"asked": asked, "used": used, **found.facts()}
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def compare(attributions, arithmetic):
    try:
        reduced = attributions(arithmetic)
    except RuntimeError as error:
        # torch.compile needs a compiler and knows not every network; the study goes on without.
        if not arithmetic["compiled"]:
            raise
        log.warning("torch.compile failed: %s", str(error).splitlines()[0])
        return Agreement(0, nan, nan)
    found = agreement(attributions(EXACT), reduced)
    log.info(
        "against float32: lowest Spearman correlation %.4f, completeness error larger by %.4f",
        found.spearman,
        found.completeness_loss,
    )
    return found


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
            selection=snakemake.params.selection,
            grid=snakemake.params.grid,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.params.threads,
            output=snakemake.output[0],
        )
