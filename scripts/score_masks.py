"""Overlap of each mask of a segmenter with the ground truth, one row per explained image."""

import pandas as pd

from segxai.datasets.samples import explained_rows, sharded
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.metrics.overlap import dice, iou
from segxai.segmenters.scope import scoped


def main(samples, truth, masks, selection, segmenter, seed, scores):
    table = read_rows(samples)
    rows = explained_rows(table, **selection)
    truths = read_array(truth)
    found = [score(mask, truths[row]) for row, mask in zip(rows, sharded(rows, masks), strict=True)]
    result = table.loc[rows, ["image_id", "group", "split", "label"]].assign(
        segmenter=segmenter, seed=seed, **pd.DataFrame(found, index=rows)
    )
    log.info(
        "mean Dice %.1f %%, mean IoU %.1f %%", 100 * result.dice.mean(), 100 * result.iou.mean()
    )
    with atomic_path(scores) as path:
        result.to_csv(path, index=False, float_format="%.6f")


def score(mask, truth) -> dict[str, float]:
    # Of masks per class, those of an image together.
    mask, truth = (scoped(one[None], "union")[0] for one in (mask, truth))
    return {
        "iou": iou(mask, truth),
        "dice": dice(mask, truth),
        "mask_fraction": mask.mean(),
        "truth_fraction": truth.mean(),
    }


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            truth=snakemake.input.truth,
            masks=snakemake.input.masks,
            selection=snakemake.params.selection,
            segmenter=snakemake.wildcards.segmenter,
            seed=int(snakemake.wildcards.seed),
            scores=snakemake.output.scores,
        )
