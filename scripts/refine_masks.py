"""Masks of one shard refined by DenseCRF with the original images."""

from functools import partial

import numpy as np

from segxai.datasets.samples import explained_rows, sharded
from segxai.images.arrays import npy_rows, read_array
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import job, log
from segxai.job.parallel import map_images
from segxai.segmenters.chain import refine


def main(samples, images, coarse, maps, features, settings, selection, workers, masks):
    rows = explained_rows(read_rows(samples), **selection)
    pixels = read_array(images)
    before = read_array(coarse)
    relevance = read_array(maps)
    components = sharded(rows, features) if features else [None] * len(rows)
    work = partial(refine, settings=read_facts(settings))
    items = zip(
        (pixels[row] for row in rows), before, zip(relevance, components, strict=True), strict=True
    )
    refined = map_images(work, items, len(rows), workers, "masks refined")
    changed = []
    with atomic_path(masks) as path, npy_rows(path, before.shape[1:]) as append:
        for mask, was in zip(refined, before, strict=True):
            append(mask.astype(np.uint8))
            changed.append(np.mean(mask != was))
    log.info("%.1f %% of pixels changed side", 100 * np.mean(changed))


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            coarse=snakemake.input.masks,
            maps=snakemake.input.maps,
            features=snakemake.input.features,
            settings=snakemake.input.settings,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            workers=snakemake.threads,
            masks=snakemake.output.masks,
        )
