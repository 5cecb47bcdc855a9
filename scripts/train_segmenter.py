"""Train a U-Net on the images and masks of a data set."""

import time
from functools import partial

import numpy as np

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.data.splits import TRAIN, VALIDATION
from segxai.models.inputs import channel_statistics, normalise
from segxai.models.saving import save_model
from segxai.models.training import Patches
from segxai.models.unet import build_unet, train_segmenter
from segxai.runtime import job, torch_device
from segxai.segment.scope import scoped


def main(samples, images, masks, statistics, model, scope, seed, threads, weights, history, card):
    started = time.perf_counter()
    device = torch_device(threads)
    split = read_rows(samples).split
    pixels, truth = read_array(images), read_array(masks)
    subsets = {}
    for name in (TRAIN, VALIDATION):
        rows = np.flatnonzero(split == name)
        outlined = scoped(truth[rows], scope)
        # One mask per image is one channel.
        outlined = outlined.reshape(len(rows), -1, *truth.shape[-2:])
        subsets[name] = Patches(pixels[rows], outlined, model["input_size"], device)
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
        "device": str(device),
        "seconds": round(time.perf_counter() - started, 1),
    }
    save_model(network, epochs, facts, weights, history, card)


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
