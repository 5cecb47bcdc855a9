"""Masks of a control without an explanation, prepared on the training images."""

import numpy as np

from segxai.images.arrays import read_array
from segxai.images.display import display_image
from segxai.images.masks import read_masks
from segxai.job.files import read_rows
from segxai.job.log import log, progress, run
from segxai.segmenters.writing import write_masks
from segxai.workflow.plugins import load


def main(samples, images, truth, outlines, chosen, segmenter, display, masks, facts):
    table = read_rows(samples)
    pixels = read_array(images)
    true_masks = read_masks(truth, outlines, table)
    module, settings = load("segmenters", segmenter)
    # Like scores, it uses images with a finding.
    training = (
        (display_image(pixels[row], display), true_masks.union(row))
        for row in np.flatnonzero((table.split == "train") & (table.mask_pixels > 0))
    )
    prepared = module.prepare(training)
    log.info("prepared on the training images: %s", prepared)
    segmented = read_rows(chosen)
    rows = progress(segmented.row, len(segmented), "images segmented")
    results = (
        module.segment(display_image(pixels[row], display), prepared, **settings) for row in rows
    )
    write_masks(results, segmented[["image_id"]], pixels.shape[1:3], masks, facts)


if __name__ == "__main__":
    run(main, snakemake)
