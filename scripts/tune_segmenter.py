"""Settings of a segmenter: the best of a grid by mean Dice on validation images."""

import json
from functools import partial

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_rows, sharded
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.job.parallel import map_images
from segxai.segmenters.tuning import candidates, coarse_scores, refined_scores


def main(
    samples,
    images,
    truth,
    maps,
    features,
    method,
    defaults,
    grid,
    n_images,
    selection,
    workers,
    settings,
    trials,
):
    table = read_rows(samples)
    rows = explained_rows(table, **selection)
    places = np.flatnonzero(table.split[rows] == "validation")[:n_images]
    pixels = read_array(images)
    masks = read_array(truth)
    relevance = sharded(rows, maps)
    components = sharded(rows, features) if features else [None] * len(rows)
    items = [
        (pixels[rows[place]], masks[rows[place]], (relevance[place], components[place]))
        for place in places
    ]
    chosen, tables = defaults, []
    stages = {
        "coarse": (coarse_scores, ("smoothing", method)),
        "refined": (refined_scores, ("crf",)),
    }
    for stage, (scores, sections) in stages.items():
        tried = candidates(chosen, grid, sections)
        work = partial(scores, method=method, tried=tried)
        dice = np.array([*map_images(work, items, len(items), workers, f"{stage} trials")])
        means = np.nanmean(dice, axis=0)
        best = int(means.argmax())
        chosen = tried[best]
        log.info("%s: Dice %.3f by default, %.3f at best", stage, means[0], means[best])
        tables.append(trial_table(stage, tried, sections, means, best))
    result = pd.concat(tables).assign(n=len(items))
    with atomic_path(settings) as path:
        path.write_text(json.dumps(chosen, indent=2) + "\n")
    with atomic_path(trials) as path:
        result.to_csv(path, index=False, float_format="%.6f")


def trial_table(stage, tried, sections, means, best) -> pd.DataFrame:
    """One row per candidate: its settings, its mean Dice, whether it is the default or chosen."""
    rows = [
        {
            f"{section}.{key}": value
            for section in sections
            for key, value in settings.get(section, {}).items()
        }
        for settings in tried
    ]
    described = [json.dumps(row) for row in rows]
    index = np.arange(len(tried))
    return pd.DataFrame(
        {
            "stage": stage,
            "settings": described,
            "dice": means,
            "default": index == 0,
            "chosen": index == best,
        }
    )


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            truth=snakemake.input.truth,
            maps=snakemake.input.maps,
            features=snakemake.input.features,
            method=snakemake.params.method,
            defaults=snakemake.params.defaults,
            grid=snakemake.params.grid,
            n_images=snakemake.params.n_images,
            selection=snakemake.params.selection,
            workers=snakemake.threads,
            settings=snakemake.output.settings,
            trials=snakemake.output.trials,
        )
