"""Masks of a control: a centred disc of the training masks' area, or Otsu on the grey image."""

from collections.abc import Iterable

import numpy as np

from segxai.datasets.samples import explained_rows
from segxai.images.arrays import npy_rows, read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.metrics.overlap import dice
from segxai.segmenters.disc import centred_disc
from segxai.segmenters.otsu import otsu_image


def main(samples, images, truth, method, selection, masks):
    table = read_rows(samples)
    rows = explained_rows(table, **selection)
    training = np.flatnonzero(table.split == "train")
    pixels = read_array(images)
    truth = read_array(truth)
    control = {"disc": disc_masks, "otsu": otsu_masks}[method]
    with atomic_path(masks) as path, npy_rows(path, truth.shape[1:]) as append:
        for mask in control(pixels, truth, training, rows):
            append(mask.astype(np.uint8))


def disc_masks(pixels, truth, training, rows) -> Iterable[np.ndarray]:
    """Give every image the same disc, as large as the mean training mask."""
    area = np.mean([truth[row].mean() for row in training])
    log.info("disc of %.1f %% of the image", 100 * area)
    return [centred_disc(truth.shape[1:], area)] * len(rows)


def otsu_masks(pixels, truth, training, rows) -> Iterable[np.ndarray]:
    """Take the side of Otsu's threshold that fits the training masks better."""
    scores = {
        brighter: np.nanmean(
            [dice(otsu_image(pixels[row], brighter), truth[row]) for row in training]
        )
        for brighter in (True, False)
    }
    brighter = scores[True] >= scores[False]
    log.info("foreground is the %s side", "brighter" if brighter else "darker")
    return (otsu_image(pixels[row], brighter) for row in rows)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            truth=snakemake.input.truth,
            method=snakemake.params.method,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            masks=snakemake.output.masks,
        )
