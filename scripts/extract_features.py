"""First principal component of the last block's keys, for one shard of the explained images."""

import numpy as np

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.data.samples import explained_rows
from segxai.models.classifier import Classifier
from segxai.models.inputs import join_windows
from segxai.models.keys import first_component, key_features
from segxai.runtime import atomic_path, job, log, progress, torch_device


def main(samples, images, statistics, weights, model, classes, selection, grid, threads, features):
    device = torch_device(threads)
    chosen = explained_rows(read_rows(samples), **selection)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)
    result = []
    for row in progress(chosen, len(chosen), "feature maps"):
        keys = key_features(classifier.network, classifier.inputs(pixels[row], grid))
        result.append(first_component(join_windows(keys.cpu().numpy(), grid)).astype(np.float16))
    log.info("%d feature maps of %d × %d", len(result), *result[0].shape)
    with atomic_path(features) as path:
        np.save(path, np.stack(result))


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
            features=snakemake.output.features,
        )
