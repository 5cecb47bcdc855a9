"""Measure the channel mean and standard deviation of a data set's training images."""

import numpy as np

from segxai.datasets.splits import TRAIN
from segxai.images.arrays import read_array
from segxai.images.load import measure_channels
from segxai.job.files import read_rows, write_json
from segxai.job.log import log, run


def main(samples, images, statistics):
    rows = np.flatnonzero(read_rows(samples)["split"] == TRAIN)
    mean, std = measure_channels(read_array(images), rows)
    log.info("mean %s of %d training images", [round(value, 3) for value in mean], len(rows))
    write_json(statistics, {"mean": mean, "std": std, "n_images": len(rows)})


if __name__ == "__main__":
    run(main, snakemake)
