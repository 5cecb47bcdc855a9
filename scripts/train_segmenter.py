"""Train a U-Net on the images and masks of a data set."""

import time
from functools import partial

import numpy as np

from segxai.datasets.splits import TRAIN, VALIDATION
from segxai.images.arrays import LazyRows, read_array
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import job
from segxai.networks.inputs import channel_statistics, normalise
from segxai.networks.saving import save_model
from segxai.networks.training import Patches
from segxai.networks.unet import build_unet, train_segmenter
from segxai.segmenters.scope import scoped


def main(samples, images, masks, statistics, model, scope, seed, threads, weights, history, card):
    started = time.perf_counter()
    device = torch_device(threads)
    split = read_rows(samples).split
    pixels, truth = read_array(images), read_array(masks)
    subsets = {
        name: read_images(
            *(pixels, truth, np.flatnonzero(split == name), scope, model["input_size"], device)
        )
        for name in (TRAIN, VALIDATION)
    }
    n_masks = subsets[TRAIN].labels.shape[1]
    network = build_unet(n_masks, seed, model["arguments"]).to(device)
    channel = channel_statistics(model, statistics)
    epochs = train_segmenter(
        network,
        subsets[TRAIN],
        subsets[VALIDATION],
        partial(normalise, mean=channel["mean"], std=channel["std"]),
        model["training"],
        seed,
    )
    facts = {
        **model,
        "masks": n_masks,
        "seed": seed,
        "patches": {split: len(subset) for split, subset in subsets.items()},
        "device": device.type,
        "seconds": round(time.perf_counter() - started, 1),
    }
    save_model(network, epochs, facts, weights, history, card)


def read_images(pixels, truth, rows, scope, size, device) -> Patches:
    """Give the images of some rows with their masks."""

    def outlined(chosen):
        masks = scoped(truth[chosen], scope)
        # One mask per image is one channel.
        return masks.reshape(len(masks), -1, *masks.shape[-2:])

    shape = len(rows), *outlined(rows[:1]).shape[1:]
    images = LazyRows((len(rows), *pixels.shape[1:]), lambda chosen: pixels[rows[chosen]])
    masks = LazyRows(shape, lambda chosen: outlined(rows[chosen]))
    return Patches(images, masks, size, device)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            masks=snakemake.input.masks,
            statistics=snakemake.input.statistics,
            model=snakemake.params.model,
            scope=snakemake.params.scope,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.params.threads,
            weights=snakemake.output.weights,
            history=snakemake.output.history,
            card=snakemake.output.card,
        )
