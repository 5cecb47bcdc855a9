"""Train a classifier on labelled patches, or a segmenter on images and masks."""

import time
from functools import partial

import numpy as np
import pandas as pd

from segxai.datasets.patches import window_pixels
from segxai.datasets.samples import label_matrix
from segxai.datasets.selection import with_few
from segxai.datasets.splits import TRAIN, VALIDATION
from segxai.images.arrays import LazyRows, read_array
from segxai.images.masks import read_masks
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import InputError, run
from segxai.networks.classify import train_classifier
from segxai.networks.inputs import channel_statistics, normalise
from segxai.networks.network import build_network
from segxai.networks.saving import save_model
from segxai.networks.segment import train_segmenter
from segxai.networks.training import LabelledImages
from segxai.workflow.plugins import network_task


def main(
    samples, images, statistics, network, classes, channels, cell, seed, threads, weights, history,
    card, patches=None, truth=None, outlines=None,
):  # fmt: skip
    started = time.perf_counter()
    device = torch_device(threads)
    pixels, table = read_array(images), read_rows(samples)
    few = partial(with_few, images=network["training"]["images"], seed=seed)
    if network_task(network) == "classify":
        train = partial(train_classifier, unfreeze_blocks=network["unfreeze_blocks"])
        windows, outputs = few(read_rows(patches)), len(classes)
        give = partial(labelled, pixels, table, windows, classes, network["training"]["loss"])
    else:
        masks, per_class = read_masks(truth, outlines, table), network["scope"] == "per_class"
        train, outputs = train_segmenter, masks.shape[1] if per_class and masks.per_class else 1
        chosen = few(table, usable=table.mask_pixels.notna())
        give = partial(outlined, pixels, chosen, masks, per_class)
    subsets = [give(split, network["input_size"], device) for split in (TRAIN, VALIDATION)]
    module = build_network(network, outputs, len(channels), seed).to(device)
    scale = partial(normalise, **channel_statistics(network, statistics, len(channels)))
    epochs = train(module, *subsets, normalise=scale, settings=network["training"], seed=seed)
    facts = {
        **network,
        **cell,
        "classes": classes,
        "outputs": outputs,
        "seed": seed,
        "patches": dict(zip((TRAIN, VALIDATION), map(len, subsets), strict=True)),
        "device": device.type,
        "seconds": round(time.perf_counter() - started, 1),
    }
    save_model(module, epochs, facts, weights, history, card)


def labelled(pixels, samples, windows, classes, loss, split, size, device) -> LabelledImages:
    """Windows of a split with their classes: an index, or 0 and 1 for each class."""
    windows = windows[windows.split == split]
    if f"label_{classes[0]}" in samples:
        if loss == "cross_entropy":
            raise InputError(
                "networks.training.loss: cross_entropy is for classes that exclude each other, and "
                "images of this data set may show several; set `loss: bce`."
            )
        rows = pd.Index(samples.image_id).get_indexer(windows.image_id)
        labels = label_matrix(samples, classes)[rows].astype(np.uint8)
    else:
        labels = windows.label.map(classes.index).to_numpy()
    return LabelledImages(window_pixels(pixels, samples, windows), labels, size, device)


def outlined(pixels, samples, masks, per_class, split, size, device) -> LabelledImages:
    """Images of a split with their masks: of all findings, or one for each class.

    An unknown outline is not an empty mask: such images are left out.
    """
    rows = np.flatnonzero((samples.split == split) & samples.mask_pixels.notna())

    def read(chosen):
        read_one = masks.__getitem__ if per_class else masks.union
        stack = np.stack([read_one(row) for row in rows[chosen]])
        return stack.reshape(len(stack), -1, *stack.shape[-2:])

    shape = len(rows), *read(np.array([0])).shape[1:]
    images = LazyRows((len(rows), *pixels.shape[1:]), lambda chosen: pixels[rows[chosen]])
    return LabelledImages(images, LazyRows(shape, read), size, device)


if __name__ == "__main__":
    run(main, snakemake)
