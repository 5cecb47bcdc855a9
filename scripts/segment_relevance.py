"""Coarse masks of one shard, from relevance maps by morphology or Normalized Cut."""

from functools import partial

import numpy as np

from segxai.images.arrays import npy_rows, read_array
from segxai.job.files import atomic_path, read_facts
from segxai.job.log import job, log
from segxai.job.parallel import map_images
from segxai.segmenters.chain import segment


def main(maps, features, settings, method, workers, masks):
    relevance = read_array(maps)
    components = [None] * len(relevance)
    if features:
        components = read_array(*features)
    chosen = read_facts(settings)
    work = partial(segment, method=method, settings=chosen)
    pairs = zip(relevance, components, strict=True)
    areas = []
    with atomic_path(masks) as path, npy_rows(path, relevance.shape[1:]) as append:
        for mask in map_images(work, pairs, len(relevance), workers, "masks"):
            append(mask.astype(np.uint8))
            areas.append(mask.mean())
    log.info("mean mask area %.1f %% of the image", 100 * np.mean(areas))


if __name__ == "__main__":
    with job(snakemake):
        main(
            maps=snakemake.input.maps,
            features=snakemake.input.features,
            settings=snakemake.input.settings,
            method=snakemake.params.method,
            workers=snakemake.threads,
            masks=snakemake.output.masks,
        )
