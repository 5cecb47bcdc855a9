"""Class probabilities and predictions of a classifier for whole images."""

import numpy as np
import pandas as pd
import torch

from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import VALIDATION
from segxai.images.arrays import read_array
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log, progress
from segxai.networks.network import Classifier, image_probabilities
from segxai.stats.classification import best_thresholds


def main(samples, images, statistics, weights, model, classes, grid, threads, predictions):
    device = torch_device(threads)
    table = read_rows(samples)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)
    loss = model["training"]["loss"]
    p = np.empty((len(table), len(classes)))
    for row in progress(range(len(table)), len(table), "images predicted"):
        with torch.no_grad():
            logits = classifier.network(classifier.inputs(pixels[row], grid))
        p[row] = image_probabilities(logits, loss)
    # What is written is what is decided on.
    p = p.round(9)
    labels = label_matrix(table, classes)
    if loss == "cross_entropy":
        # The most probable class is predicted, so no class has a threshold.
        thresholds = np.full(len(classes), np.nan)
        predicted = np.arange(len(classes)) == p.argmax(axis=1, keepdims=True)
    else:
        held_out = (table.split == VALIDATION).to_numpy()
        thresholds = best_thresholds(p[held_out], labels[held_out])
        predicted = p > thresholds
    tell(table.split, classes, thresholds, predicted, labels)
    n = len(table)
    result = pd.DataFrame(
        {
            "image_id": table.image_id.repeat(len(classes)),
            "split": table.split.repeat(len(classes)),
            "class": np.tile(classes, n),
            "probability": p.ravel(),
            "threshold": np.tile(thresholds, n),
            "predicted": predicted.ravel().astype(int),
            "correct": (predicted == labels).ravel().astype(int),
        }
    )
    with atomic_path(predictions) as path:
        result.to_csv(path, index=False)


def tell(split, classes, thresholds, predicted, labels):
    """Log how many labels are right, and the classes and images that are never predicted."""
    for name, rows in split.groupby(split, sort=False).groups.items():
        marked = predicted[rows]
        log.info(
            "%s: %.1f %% of the predicted labels are right; %d of %d images have none",
            name,
            100 * labels[rows][marked].mean() if marked.any() else np.nan,
            (~marked.any(axis=1)).sum(),
            len(rows),
        )
    if np.isnan(thresholds).any() and not np.isnan(thresholds).all():
        for name in np.array(classes)[np.isnan(thresholds)]:
            log.warning("%s is never predicted: no validation image gives it a threshold", name)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            statistics=snakemake.input.statistics,
            weights=snakemake.input.weights,
            model=snakemake.params.model,
            classes=snakemake.params.classes,
            grid=snakemake.params.grid,
            threads=snakemake.params.threads,
            predictions=snakemake.output.predictions,
        )
