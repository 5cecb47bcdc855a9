"""Fine-tune a classifier on the labelled patches of a data set."""

import time
from functools import partial

import numpy as np
import pandas as pd

from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import TRAIN, VALIDATION
from segxai.images.arrays import LazyRows, read_array
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import InputError, job
from segxai.networks.inputs import channel_statistics, normalise
from segxai.networks.network import build_classifier
from segxai.networks.saving import save_model
from segxai.networks.training import Patches, train_classifier


def main(
    samples,
    images,
    patches,
    statistics,
    model,
    classes,
    seed,
    threads,
    weights,
    history,
    card,
):
    started = time.perf_counter()
    device = torch_device(threads)
    pixels, table, windows = read_array(images), read_rows(samples), read_rows(patches)
    subsets = {
        split: read_patches(
            *(pixels, table, windows[windows.split == split]),
            *(classes, model["training"]["loss"], model["input_size"], device),
        )
        for split in (TRAIN, VALIDATION)
    }
    network = build_classifier(
        *(model["architecture"], model["arguments"], len(classes)),
        *(model["pretrained"], model["weights"], seed, model["head_features"]),
    ).to(device)
    channel = channel_statistics(model, statistics)
    epochs = train_classifier(
        network,
        subsets["train"],
        subsets["validation"],
        partial(normalise, mean=channel["mean"], std=channel["std"]),
        model["unfreeze_blocks"],
        model["training"],
        seed,
    )
    facts = {
        **model,
        "classes": classes,
        "seed": seed,
        "patches": {split: len(subset) for split, subset in subsets.items()},
        "device": device.type,
        "seconds": round(time.perf_counter() - started, 1),
    }
    save_model(network, epochs, facts, weights, history, card)


def read_patches(pixels, samples, windows, classes, loss, size, device) -> Patches:
    """Give the `windows` of images with their classes: an index, or 0 and 1 for each class."""
    rows = pd.Index(samples.image_id).get_indexer(windows.image_id)
    height, width = windows.height.iloc[0], windows.width.iloc[0]

    def cut(chosen):
        corners = zip(rows[chosen], windows.y.iloc[chosen], windows.x.iloc[chosen], strict=True)
        return np.stack([pixels[row, y : y + height, x : x + width] for row, y, x in corners])

    if f"label_{classes[0]}" in samples:
        if loss == "cross_entropy":
            raise InputError(
                "models.training.loss: cross_entropy is for classes that exclude each other, and "
                "images of this data set may show several; set `loss: bce`."
            )
        labels = label_matrix(samples, classes)[rows].astype(np.uint8)
    else:
        labels = windows.label.map(classes.index).to_numpy()
    return Patches(LazyRows((len(rows), height, width, 3), cut), labels, size, device)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            patches=snakemake.input.patches,
            statistics=snakemake.input.statistics,
            model=snakemake.params.model,
            classes=snakemake.params.classes,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.params.threads,
            weights=snakemake.output.weights,
            history=snakemake.output.history,
            card=snakemake.output.card,
        )
