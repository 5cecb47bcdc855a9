"""Measure the channel mean and standard deviation of a data set's training images."""

import json

import numpy as np

from segxai.datasets.splits import TRAIN
from segxai.images.arrays import read_array
from segxai.images.load import measure_channels
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log


def main(samples, images, statistics):
    rows = np.flatnonzero(read_rows(samples)["split"] == TRAIN)
    pixels = read_array(images)
    mean, std = measure_channels(pixels, rows)
    facts = {"mean": mean, "std": std, "n_images": len(rows)}
    log.info("mean %s of %d training images", [round(each, 3) for each in mean], len(rows))
    with atomic_path(statistics) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            statistics=snakemake.output.statistics,
        )
