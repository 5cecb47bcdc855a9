"""Train a U-Net on the images and masks of a data set."""

import json
import time
from functools import partial

import numpy as np
import torch

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.data.splits import TRAIN, VALIDATION
from segxai.models.classifier import channel_statistics, normalise, save_classifier
from segxai.models.training import Patches
from segxai.models.unet import build_unet, train_segmenter
from segxai.runtime import atomic_path, job, log, torch_device
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
    best = epochs.loc[epochs.validation_loss.idxmin()].round(6).to_dict()
    log.info(
        "best epoch %d on validation images: Dice %.3f", best["epoch"], best["validation_dice"]
    )
    facts = {
        **model,
        "masks": n_masks,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "images": {name: len(subset) for name, subset in subsets.items()},
        "best": best,
        "device": str(device),
        "torch": torch.__version__,
        "seconds": round(time.perf_counter() - started, 1),
    }
    with atomic_path(weights) as path:
        save_classifier(network, path)
    with atomic_path(history) as path:
        epochs.to_csv(path, index=False, float_format="%.6g")
    with atomic_path(card) as path:
        path.write_text(json.dumps(facts, indent=2) + "\n")


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
