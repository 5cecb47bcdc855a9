"""Masks of one shard by a trained U-Net, and how sure it is of each."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from segxai.data.arrays import npy_rows, read_array
from segxai.data.records import read_rows
from segxai.data.samples import explained_rows
from segxai.metrics.selective import segmentation_confidence
from segxai.models.classifier import channel_statistics, intensities, normalise
from segxai.models.unet import load_unet, mask_probabilities
from segxai.runtime import atomic_path, job, log, progress, torch_device


def main(samples, images, statistics, weights, card, model, selection, threads, masks, facts):
    device = torch_device(threads)
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    pixels = read_array(images)
    n_masks = json.loads(Path(card).read_text())["masks"]
    network = load_unet(weights, n_masks, model["arguments"], device)
    channel = channel_statistics(model, statistics)
    shape = pixels.shape[1:3]
    found = []
    with (
        atomic_path(masks) as path,
        npy_rows(path, (n_masks, *shape) if n_masks > 1 else shape) as append,
    ):
        for row in progress(chosen, len(chosen), "images segmented"):
            image = torch.tensor(pixels[row : row + 1], device=device)
            inputs = normalise(intensities(image, model["input_size"]), **channel)
            probability = mask_probabilities(network, inputs, shape)[0].cpu().numpy()
            mask = probability > 0.5
            append((mask if n_masks > 1 else mask[0]).astype(np.uint8))
            areas = mask.mean(axis=(1, 2))
            found += [
                (table.image_id[row], *each)
                for each in zip(
                    range(n_masks), areas, segmentation_confidence(probability), strict=True
                )
            ]
    found = pd.DataFrame(found, columns=["image_id", "mask", "mask_fraction", "confidence"])
    log.info(
        "mean mask area %.1f %% of the image; %d of %d masks are empty",
        100 * found.mask_fraction.mean(),
        (found.mask_fraction == 0).sum(),
        len(found),
    )
    with atomic_path(facts) as path:
        found.to_csv(path, index=False, float_format="%.6g")


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
            masks=snakemake.output.masks,
            facts=snakemake.output.facts,
        )
