"""Masks of one shard by MICRA-Net, each for its image's predicted class."""

import numpy as np
from skimage.transform import resize

from segxai.datasets.samples import explained_rows
from segxai.explainers.grad_cam import level_maps
from segxai.images.arrays import read_array
from segxai.job.cache import image_cache, job_key
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import InputError, job, log, progress
from segxai.networks.network import Classifier
from segxai.segmenters.micranet import micranet_mask


def main(
    samples,
    images,
    statistics,
    weights,
    predictions,
    model,
    classes,
    cut,
    selection,
    threads,
    key,
    masks,
):
    device = torch_device(threads)
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)
    targets = read_rows(predictions).query("predicted == 1").set_index("image_id")["class"]
    shape = pixels.shape[1:3]
    with image_cache(masks, len(chosen), key, shape) as cache:
        rest = chosen[cache.done :]
        for row in progress(rest, len(rest), "images segmented"):
            name = table.image_id[row]
            maps = level_maps(
                classifier.network,
                classifier.network.levels,
                classifier.inputs(pixels[row]),
                classes.index(targets[name]),
            )
            refuse_nan(maps, weights, name)
            mask = micranet_mask(maps, **cut)
            cache.append([resize(mask, shape, order=0).astype(np.uint8)], [[int(mask.any())]])
    without = (targets[table.image_id[chosen]] == classes[0]).sum()
    log.info("%d of %d masks explain the class %s", without, len(chosen), classes[0])
    log.info("%d masks are empty: constant activation maps", cache.facts.count([0]))


def refuse_nan(maps, weights, name):
    if not all(np.isfinite(level).all() for level in maps):
        raise InputError(
            f"{weights}: the activation maps of image {name} hold NaN; delete the file and run "
            "again to train it anew."
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
            cut=snakemake.params.cut,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            threads=snakemake.params.threads,
            key=job_key(snakemake),
            masks=snakemake.output.masks,
        )
