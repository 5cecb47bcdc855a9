"""Scores of a segmenter's masks: one row per mask and value."""

from segxai.images.arrays import read_array
from segxai.images.masks import read_masks
from segxai.job.files import read_rows, write_table
from segxai.job.log import run
from segxai.metrics.case import Case
from segxai.metrics.instances import warn_of_components
from segxai.metrics.scoring import KNOWN, Plan, log_scores, measure_mask, places, tidy, true_mask
from segxai.segmenters.writing import mask_key


def main(
    masks, facts, samples, truth, outlines, requests, cell, seed, scores,
    targets=None, instances=None, instance_facts=None,
):  # fmt: skip
    images, table = read_rows(samples), read_rows(facts)
    # A mask belongs to one target, or to all findings of an image.
    key = mask_key(table)
    listed = read_rows(targets) if key == "target_id" else images.assign(row=images.index)
    known = listed.iloc[places(table[key], listed[key], facts)]
    known = known.reindex(columns=[*KNOWN, "row", "kind", "channel"]).reset_index(drop=True)
    if "constant" in table:
        known = known.assign(constant=table.constant)
    truths, plan = read_masks(truth, outlines, images), Plan(requests)
    objects = None if instances is None else read_array(instances)
    measured = []
    for mask, target in zip(read_array(masks), known.itertuples(), strict=True):
        case = Case(
            mask=mask if mask.ndim == 2 else mask.max(axis=0),
            reference=true_mask(truths, target),
            instances=None if objects is None else objects[target.row],
        )
        measured.append(measure_mask(case, plan))
    result = tidy(known[KNOWN], measured, plan, seed=seed, **cell)
    write_table(scores, result)
    if instance_facts is not None:
        warn_of_components(read_rows(instance_facts).annotated[known.row])
    log_scores(result, len(known), "masks")


if __name__ == "__main__":
    run(main, snakemake)
