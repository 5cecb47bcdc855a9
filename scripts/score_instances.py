"""AJI and panoptic quality of the components of each mask, one row per explained image."""

import pandas as pd

from segxai.datasets.samples import explained_rows, sharded
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.metrics.instances import aji, components, panoptic_quality
from segxai.segmenters.scope import scoped


def main(samples, truth, facts, masks, selection, segmenter, seed, scores):
    table = read_rows(samples)
    rows = explained_rows(table, **selection)
    known = read_rows(facts).loc[rows]
    truths = read_array(truth)
    found = [
        score(scoped(mask[None], "union")[0], truths[row])
        for row, mask in zip(rows, sharded(rows, masks), strict=True)
    ]
    result = table.loc[rows, ["image_id", "group", "split", "label"]].assign(
        segmenter=segmenter,
        seed=seed,
        **pd.DataFrame(found, index=rows),
        true_objects=known.objects,
        annotated=known.annotated,
    )
    log.info(
        "%d true and %d predicted objects, mean AJI %.1f %%, mean PQ %.1f %%, %d images undefined",
        *(result.true_objects.sum(), result.predicted_objects.sum()),
        *(100 * result.aji.mean(), 100 * result.pq.mean(), result.aji.isna().sum()),
    )
    with atomic_path(scores) as path:
        result.to_csv(path, index=False, float_format="%.6f")


def score(mask, target) -> dict[str, float]:
    prediction = components(mask)
    pq, sq, dq = panoptic_quality(prediction, target)
    return {
        "aji": aji(prediction, target),
        "pq": pq,
        "sq": sq,
        "dq": dq,
        "predicted_objects": prediction.max(),
    }


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            truth=snakemake.input.truth,
            facts=snakemake.input.facts,
            masks=snakemake.input.masks,
            selection=snakemake.params.selection,
            segmenter=snakemake.wildcards.segmenter,
            seed=int(snakemake.wildcards.seed),
            scores=snakemake.output.scores,
        )
