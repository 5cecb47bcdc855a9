"""Coarse masks of one shard, from relevance maps by morphology or Normalized Cut."""

from functools import partial

import numpy as np

from segxai.data.arrays import read_array
from segxai.data.records import read_facts
from segxai.runtime import atomic_path, job, log, map_images
from segxai.segment.relevance import segment


def main(maps, features, settings, method, workers, masks):
    relevance = read_array(maps)
    components = [None] * len(relevance)
    if features:
        components = read_array(*features)
    chosen = read_facts(settings)
    work = partial(segment, method=method, settings=chosen)
    pairs = zip(relevance, components, strict=True)
    result = np.stack([*map_images(work, pairs, len(relevance), workers, "masks")]).astype(np.uint8)
    log.info("mean mask area %.1f %% of the image", 100 * result.mean())
    with atomic_path(masks) as path:
        np.save(path, result)


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
