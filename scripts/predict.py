"""Class probabilities and predictions of a classifier for whole images."""

import numpy as np
import pandas as pd
import torch

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.models.classifier import Classifier, image_probabilities
from segxai.runtime import atomic_path, job, log, progress, torch_device


def main(samples, images, statistics, weights, model, classes, grid, threads, predictions):
    device = torch_device(threads)
    table = read_rows(samples)
    pixels = read_array(images)
    classifier = Classifier.load(weights, statistics, model, len(classes), device)
    parts = []
    for row, sample in progress(enumerate(table.itertuples()), len(table), "images predicted"):
        with torch.no_grad():
            logits = classifier.network(classifier.inputs(pixels[row], grid))
        p = image_probabilities(logits.double().softmax(dim=1).cpu().numpy())
        predicted = np.arange(len(classes)) == p.argmax()
        parts.append(
            pd.DataFrame(
                {
                    "image_id": sample.image_id,
                    "split": sample.split,
                    "class": classes,
                    "probability": p.round(6),
                    # The most probable class is predicted, so no class has a threshold.
                    "threshold": np.nan,
                    "predicted": predicted.astype(int),
                    "correct": (predicted == [name == sample.label for name in classes]).astype(
                        int
                    ),
                }
            )
        )
    result = pd.concat(parts)
    right = result[result.predicted == 1].groupby("split").correct.mean()
    log.info("accuracy on whole images: %s", right.round(3).to_dict())
    with atomic_path(predictions) as path:
        result.to_csv(path, index=False)


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
