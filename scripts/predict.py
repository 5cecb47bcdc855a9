"""Predictions of a network for whole images or labelled windows: classes, or regions."""

import numpy as np
import pandas as pd
import torch

from segxai.datasets.patches import window_pixels
from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import VALIDATION
from segxai.images.arrays import read_array
from segxai.job.device import torch_device
from segxai.job.files import read_rows, write_table
from segxai.job.log import log, progress, run
from segxai.networks.classify import class_probabilities
from segxai.networks.network import Network
from segxai.stats.classification import best_thresholds
from segxai.stats.recognition import UNIT
from segxai.stats.selective import segmentation_confidence


def main(
    samples, images, statistics, weights, card, network, classes, channels, cell, seed, threads,
    predictions,
    patches=None,
):  # fmt: skip
    device = torch_device(threads)
    table, pixels = read_rows(samples), read_array(images)
    if patches:
        windows = read_rows(patches)
        table, pixels = windows, window_pixels(pixels, table, windows)
    loaded = Network.load(weights, card, statistics, network, len(channels), device)

    def logits():
        for row in progress(range(len(table)), len(table), "images predicted"):
            with torch.no_grad():
                yield loaded.outputs(loaded.inputs(pixels[row][None]))

    if loaded.task == "classify":
        result = predicted_labels(logits(), table, classes, network["training"]["loss"])
    else:
        result = predicted_regions(logits(), table)
    write_table(predictions, result.assign(**cell, seed=seed))


def predicted_labels(logits, samples, classes, loss) -> pd.DataFrame:
    """One row per image and class: its probability, and whether it is predicted and correct."""
    # Decisions use the written values.
    p = np.concatenate([class_probabilities(image, loss) for image in logits]).round(9)
    labels = label_matrix(samples, classes)
    if loss == "cross_entropy":
        # The most probable class is predicted, so no class has a threshold.
        thresholds = np.full(len(classes), np.nan)
        predicted = np.arange(len(classes)) == p.argmax(axis=1, keepdims=True)
    else:
        held_out = (samples.split == VALIDATION).to_numpy()
        thresholds = best_thresholds(p[held_out], labels[held_out]).round(9)
        predicted = p > thresholds
    log_labels(samples.split, classes, thresholds, predicted, labels)
    return keys(samples, classes).assign(
        probability=p.ravel(),
        threshold=np.tile(thresholds, len(samples)),
        predicted=predicted.ravel().astype(int),
        correct=(predicted == labels).ravel().astype(int),
    )


def predicted_regions(logits, samples) -> pd.DataFrame:
    """One row per image and channel: its share of the image, and whether there is a region."""
    fractions, confidences = [], []
    for image in logits:
        fractions.append((image[0] > 0).double().mean(dim=(1, 2)).cpu().numpy())
        confidences.append(segmentation_confidence(image[0].double().sigmoid().cpu().numpy()))
    names = [f"region-{channel}" for channel in range(len(fractions[0]))]
    fraction = np.ravel(fractions)
    log.info("%d of %d regions are empty: they have no map", (fraction == 0).sum(), len(fraction))
    return keys(samples, names).assign(
        mask_fraction=fraction,
        confidence=np.ravel(confidences),
        predicted=(fraction > 0).astype(int),
    )


def keys(samples, names) -> pd.DataFrame:
    """Image, window if any, split and class of each row, class after class within an image."""
    columns = [name for name in (*UNIT, "split") if name in samples]
    every = samples[columns].loc[samples.index.repeat(len(names))]
    return every.reset_index(drop=True).assign(**{"class": np.tile(names, len(samples))})


def log_labels(split, classes, thresholds, predicted, labels):
    """Log the share of correct labels, and the classes and images without predictions."""
    for name, rows in split.groupby(split, sort=False).groups.items():
        marked = predicted[rows]
        log.info(
            "%s: %.1f %% of the predicted labels are correct; %d of %d images have none",
            name,
            100 * labels[rows][marked].mean() if marked.any() else np.nan,
            (~marked.any(axis=1)).sum(),
            len(rows),
        )
    if np.isnan(thresholds).any() and not np.isnan(thresholds).all():
        for name in np.array(classes)[np.isnan(thresholds)]:
            log.warning("%s is never predicted: no validation image gives it a threshold", name)


if __name__ == "__main__":
    run(main, snakemake)
