"""First principal component of the last block's keys, for one shard of the explained images."""

import numpy as np

from segxai.datasets.samples import explained_rows
from segxai.images.arrays import read_array
from segxai.job.cache import image_cache, job_key
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import job, log, progress
from segxai.networks.inputs import join_windows
from segxai.networks.keys import key_features
from segxai.networks.network import Classifier
from segxai.views.components import first_component


def main(
    samples, images, statistics, weights, model, classes, selection, grid, threads, key, features
):
    device = torch_device(threads)
    chosen = explained_rows(read_rows(samples), **selection)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)

    def feature_map(row):
        keys = key_features(classifier.network, classifier.inputs(pixels[row], grid))
        return first_component(join_windows(keys.cpu().numpy(), grid)).astype(np.float16)

    # Only the network knows how many positions its keys have.
    shape = feature_map(0).shape
    with image_cache(features, len(chosen), key, shape, np.float16) as cache:
        rest = chosen[cache.done :]
        for row in progress(rest, len(rest), "feature maps"):
            cache.append([feature_map(row)])
    log.info("%d feature maps of %d × %d", len(chosen), *shape)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            statistics=snakemake.input.statistics,
            weights=snakemake.input.weights,
            model=snakemake.params.model,
            classes=snakemake.params.classes,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            grid=snakemake.params.grid,
            threads=snakemake.params.threads,
            key=job_key(snakemake),
            features=snakemake.output.features,
        )
