"""Cut the images of a data set into labelled, balanced patches, or keep them whole."""

from segxai.data.arrays import read_array
from segxai.data.patches import cut_patches, whole_images
from segxai.data.records import read_rows
from segxai.runtime import atomic_path, job, log


def main(samples, masks, classes, grid, seed, patches):
    table = read_rows(samples)
    pixels = read_array(masks)
    if grid is None:
        windows = whole_images(table, classes, pixels.shape[1])
    else:
        windows = cut_patches(pixels, table, classes, **grid, seed=seed)
    for (split, label), count in windows.groupby(["split", "label"]).size().items():
        log.info("%s: %d × %s", split, count, label)
    with atomic_path(patches) as temporary:
        windows.to_csv(temporary, index=False)


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
