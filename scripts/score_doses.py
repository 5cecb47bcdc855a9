"""SegX and SegU by true masks that are worsened by known doses, one row per map and dose."""

from functools import partial

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_labels, explained_rows, sharded
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.job.parallel import map_images
from segxai.job.seeds import image_seed
from segxai.metrics.overlap import dice
from segxai.segmenters.scope import mask_of, scoped
from segxai.views.degrade import degrade
from segxai.views.segx import auitc, certainty_scores, iou_at, segx

SCORES = ["iou_original", "iou_segx", "auitc_original", "auitc_segx"]


def main(samples, truth, maps, facts, classes, scope, doses, selection, seed, workers, scores):
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    explained = explained_labels(table, chosen, pd.concat(map(read_rows, facts)), classes)
    relevance, truths = sharded(explained.index, maps), read_array(truth)
    doses = [("none", 0), *((kind, radius) for kind in doses for radius in doses[kind])]
    items = (
        (
            relevance[n],
            mask_of(scoped(truths[one.row][None], scope)[0], one.label),
            mask_of(truths[one.row], one.label),
            image_seed(seed, one.image_id),
        )
        for n, one in enumerate(explained.itertuples())
    )
    work = partial(score, doses=doses)
    found = map_images(work, items, len(explained), workers, "maps scored")
    known = explained.drop(columns=["row", "place", "label"]).to_dict("records")
    rows = [one | dose for one, by_dose in zip(known, found, strict=True) for dose in by_dose]
    columns = [*explained.columns.drop(["row", "place", "label"]), "kind", "radius", "dice"]
    result = pd.DataFrame(rows, columns=[*columns, *SCORES, "c_iou", "c_auitc"])
    for dose, one in result.groupby(["kind", "radius"], sort=False):
        gain = one.iou_segx.mean() - one.iou_original.mean()
        log.info("%s %g px: Dice %.3f, gain in IoU@5 %% %+.3f", *dose, one.dice.mean(), gain)
    with atomic_path(scores) as path:
        result.to_csv(path, index=False, float_format="%.6g")


def score(item, doses) -> list[dict]:
    """Score one map with its true mask worsened by each dose."""
    saliency, oracle, truth, seed = item
    saliency, found = saliency.astype(np.float64), truth.any()

    def aligned(shown):
        return (iou_at(shown, truth), auitc(shown, truth)) if found else (np.nan, np.nan)

    original, rows = aligned(saliency), []
    for kind, radius in doses:
        worse = oracle if kind == "none" else degrade(oracle, kind, radius, seed)
        refined = aligned(segx(saliency, worse))
        # Original and refined in turn, first of IoU and then of AUITC.
        scores = np.stack([original, refined], axis=1).ravel()
        rows.append(
            {"kind": kind, "radius": radius, "dice": float(dice(worse, oracle))}
            | dict(zip(SCORES, scores, strict=True))
            | certainty_scores(saliency, worse)
        )
    return rows


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            truth=snakemake.input.truth,
            maps=snakemake.input.maps,
            facts=snakemake.input.facts,
            classes=snakemake.params.classes,
            scope=snakemake.params.scope,
            doses=snakemake.params.doses,
            selection=snakemake.params.selection,
            seed=int(snakemake.wildcards.seed),
            workers=snakemake.threads,
            scores=snakemake.output.scores,
        )
