"""Masks of one shard by a trained U-Net, and how sure it is of each."""

import numpy as np
import pandas as pd
import torch

from segxai.datasets.samples import explained_rows
from segxai.images.arrays import read_array
from segxai.job.cache import image_cache, job_key
from segxai.job.device import torch_device
from segxai.job.files import read_facts, read_rows
from segxai.job.log import job, log, progress
from segxai.networks.inputs import channel_statistics, intensities, normalise
from segxai.networks.unet import load_unet, mask_probabilities
from segxai.stats.selective import segmentation_confidence

COLUMNS = ["image_id", "mask", "mask_fraction", "confidence"]


def main(samples, images, statistics, weights, card, model, selection, threads, key, masks, facts):
    device = torch_device(threads)
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    pixels = read_array(images)
    n_masks = read_facts(card)["masks"]
    network = load_unet(weights, n_masks, model["arguments"], device)
    channel = channel_statistics(model, statistics)
    shape = pixels.shape[1:3]
    row_shape = (n_masks, *shape) if n_masks > 1 else shape
    with image_cache(masks, len(chosen), key, row_shape, table=facts, columns=COLUMNS) as cache:
        rest = chosen[cache.done :]
        for row in progress(rest, len(rest), "images segmented"):
            image = torch.tensor(pixels[row : row + 1], device=device)
            inputs = normalise(intensities(image, model["input_size"]), **channel)
            probability = mask_probabilities(network, inputs, shape)[0].cpu().numpy()
            mask = probability > 0.5
            sure = zip(mask.mean(axis=(1, 2)), segmentation_confidence(probability), strict=True)
            cache.append(
                [mask.astype(np.uint8).reshape(row_shape)],
                [(table.image_id[row], index, *each) for index, each in enumerate(sure)],
            )
    found = pd.DataFrame(cache.facts, columns=COLUMNS)
    log.info(
        "mean mask area %.1f %% of the image; %d of %d masks are empty",
        100 * found.mask_fraction.mean(),
        (found.mask_fraction == 0).sum(),
        len(found),
    )


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            statistics=snakemake.input.statistics,
            weights=snakemake.input.weights,
            card=snakemake.input.card,
            model=snakemake.params.model,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            threads=snakemake.params.threads,
            key=job_key(snakemake),
            masks=snakemake.output.masks,
            facts=snakemake.output.facts,
        )
