"""Train a classifier on labelled patches, or a segmenter on images and masks."""

import time
from functools import partial

import numpy as np
import pandas as pd

from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import TRAIN, VALIDATION
from segxai.images.arrays import LazyRows, read_array
from segxai.images.masks import read_masks
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import InputError, run
from segxai.networks.classify import train_classifier
from segxai.networks.inputs import channel_statistics, normalise
from segxai.networks.network import build_network, network_task
from segxai.networks.saving import save_model
from segxai.networks.segment import train_segmenter
from segxai.networks.training import Patches


def main(
    samples,
    images,
    statistics,
    network,
    classes,
    channels,
    seed,
    threads,
    weights,
    history,
    card,
    patches=None,
    truth=None,
    outlines=None,
):
    started = time.perf_counter()
    device = torch_device(threads)
    pixels, table = read_array(images), read_rows(samples)
    settings, size = network["training"], network["input_size"]
    known = channel_statistics(network, statistics, len(channels))
    if network_task(network) == "classify":
        windows, loss = read_rows(patches), settings["loss"]
        parts = [windows[windows.split == split] for split in (TRAIN, VALIDATION)]
        subsets = [labelled(pixels, table, part, classes, loss, size, device) for part in parts]
        outputs = len(classes)
        train = partial(train_classifier, unfreeze_blocks=network["unfreeze_blocks"])
    else:
        masks, per_class = read_masks(truth, outlines, table), network["scope"] == "per_class"
        parts = [np.flatnonzero(table.split == split) for split in (TRAIN, VALIDATION)]
        subsets = [outlined(pixels, masks, part, per_class, size, device) for part in parts]
        outputs = subsets[0].labels.shape[1]
        train = train_segmenter
    module = build_network(network, outputs, len(channels), seed).to(device)
    scale = partial(normalise, **known)
    epochs = train(module, *subsets, normalise=scale, settings=settings, seed=seed)
    facts = {
        **network,
        "classes": classes,
        "outputs": outputs,
        "seed": seed,
        "patches": dict(zip((TRAIN, VALIDATION), map(len, subsets), strict=True)),
        "device": device.type,
        "seconds": round(time.perf_counter() - started, 1),
    }
    save_model(module, epochs, facts, weights, history, card)


def labelled(pixels, samples, windows, classes, loss, size, device) -> Patches:
    """Give the `windows` of images with their classes: an index, or 0 and 1 for each class."""
    rows = pd.Index(samples.image_id).get_indexer(windows.image_id)
    height, width = windows.height.iloc[0], windows.width.iloc[0]

    def cut(chosen):
        corners = zip(rows[chosen], windows.y.iloc[chosen], windows.x.iloc[chosen], strict=True)
        return np.stack([pixels[row, y : y + height, x : x + width] for row, y, x in corners])

    if f"label_{classes[0]}" in samples:
        if loss == "cross_entropy":
            raise InputError(
                "networks.training.loss: cross_entropy is for classes that exclude each other, and "
                "images of this data set may show several; set `loss: bce`."
            )
        labels = label_matrix(samples, classes)[rows].astype(np.uint8)
    else:
        labels = windows.label.map(classes.index).to_numpy()
    return Patches(LazyRows((len(rows), height, width, pixels.shape[3]), cut), labels, size, device)


def outlined(pixels, masks, rows, per_class, size, device) -> Patches:
    """Give the images of some rows with their masks: of all findings, or one for each class."""

    def read(chosen):
        read_one = masks.__getitem__ if per_class else masks.union
        stack = np.stack([read_one(row) for row in rows[chosen]])
        return stack.reshape(len(stack), -1, *stack.shape[-2:])

    shape = len(rows), *read(np.array([0])).shape[1:]
    images = LazyRows((len(rows), *pixels.shape[1:]), lambda chosen: pixels[rows[chosen]])
    return Patches(images, LazyRows(shape, read), size, device)


if __name__ == "__main__":
    run(main, snakemake)
