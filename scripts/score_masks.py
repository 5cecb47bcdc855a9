"""Overlap of each mask of a segmenter with the ground truth, one row per explained image."""

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.data.samples import explained_rows, sharded
from segxai.metrics.overlap import dice, iou
from segxai.runtime import atomic_path, job, log
from segxai.segment.scope import scoped


def main(samples, truth, masks, selection, segmenter, seed, scores):
    table = read_rows(samples)
    rows = explained_rows(table, **selection)
    # Of masks per class, those of an image together.
    predictions = scoped(sharded(rows, masks), "union")
    truth = scoped(read_array(truth)[rows], "union")
    result = table.loc[rows, ["image_id", "group", "split", "label"]].assign(
        segmenter=segmenter,
        seed=seed,
        iou=iou(predictions, truth),
        dice=dice(predictions, truth),
        mask_fraction=predictions.mean(axis=(1, 2)),
        truth_fraction=truth.mean(axis=(1, 2)),
    )
    log.info(
        "mean Dice %.1f %%, mean IoU %.1f %%", 100 * result.dice.mean(), 100 * result.iou.mean()
    )
    with atomic_path(scores) as path:
        result.to_csv(path, index=False, float_format="%.6f")


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
