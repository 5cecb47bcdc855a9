"""Cut the images of a data set into labelled, balanced patches, or keep them whole."""

from segxai.datasets.patches import cut_patches, whole_images
from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import TRAIN, VALIDATION
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log


def main(samples, masks, classes, grid, seed, patches):
    table = read_rows(samples)
    pixels = read_array(masks)
    if grid is None:
        windows = whole_images(table, pixels.shape[-1])
    else:
        windows = cut_patches(pixels, table, classes, **grid, seed=seed)
    for (split, label), count in windows.groupby(["split", "label"]).size().items():
        log.info("%s: %d × %s", split, count, label)
    tell_absent(table, classes)
    with atomic_path(patches) as temporary:
        windows.to_csv(temporary, index=False)


def tell_absent(table, classes):
    """Warn of classes that cannot be learnt, or for which no threshold can be chosen."""
    shown = label_matrix(table, classes)
    for split in (TRAIN, VALIDATION):
        for name, count in zip(classes, shown[table.split == split].sum(axis=0), strict=True):
            if count == 0:
                log.warning("no %s image shows %s: it will hardly be predicted", split, name)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            masks=snakemake.input.masks,
            classes=snakemake.params.classes,
            grid=snakemake.params.grid,
            seed=snakemake.params.seed,
            patches=snakemake.output.patches,
        )
