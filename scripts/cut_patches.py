"""Cut the images of a data set into labelled, balanced patches, or keep them whole."""

import numpy as np

from segxai.datasets.patches import cut_patches, whole_images
from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import TRAIN, VALIDATION
from segxai.images.masks import read_masks
from segxai.job.files import read_rows, write_table
from segxai.job.log import log, run


def main(samples, truth, outlines, classes, grid, seed, patches):
    table = read_rows(samples)
    masks = read_masks(truth, outlines, table)
    size = masks.shape[-1]
    if grid is None:
        windows = whole_images(table, size)
    else:
        # A window with an unknown outline has no label.
        rows = np.flatnonzero(table.mask_pixels.notna())
        unions = (masks.union(row) for row in rows)
        windows = cut_patches(unions, table.iloc[rows], classes, size, **grid, seed=seed)
    for (split, label), count in windows.groupby(["split", "label"]).size().items():
        log.info("%s: %d × %s", split, count, label)
    warn_of_absent(table, classes)
    write_table(patches, windows)


def warn_of_absent(table, classes):
    """Warn of classes without training images, or without images to choose a threshold."""
    shown = label_matrix(table, classes)
    for split in (TRAIN, VALIDATION):
        for name, count in zip(classes, shown[table.split == split].sum(axis=0), strict=True):
            if count == 0:
                log.warning("no %s image shows %s: it will hardly be predicted", split, name)


if __name__ == "__main__":
    run(main, snakemake)
