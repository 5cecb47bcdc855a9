"""SegX and SegU of each explained label, by the segmenter's masks: one row per relevance map."""

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_labels, explained_rows, sharded
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.job.parallel import map_images
from segxai.segmenters.scope import mask_of
from segxai.stats.selective import label_confidences
from segxai.views.segx import ALIGNMENT_SCORES, CERTAINTY_SCORES, alignment_scores, certainty_scores

FRACTIONS = ["truth_fraction", "mask_fraction"]


def main(
    samples,
    truth,
    predictions,
    maps,
    facts,
    masks,
    mask_facts,
    classes,
    selection,
    workers,
    scores,
):
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    explained = explained_labels(table, chosen, pd.concat(map(read_rows, facts)), classes)
    relevance, segmentations = sharded(explained.index, maps), sharded(chosen, masks)
    truths = read_array(truth)
    items = (
        (
            relevance[n],
            mask_of(segmentations[one.place], one.label),
            mask_of(truths[one.row], one.label),
        )
        for n, one in enumerate(explained.itertuples())
    )
    found = map_images(score, items, len(explained), workers, "maps scored")
    found = pd.DataFrame(found, columns=[*FRACTIONS, *ALIGNMENT_SCORES, *CERTAINTY_SCORES])
    result = pd.concat(
        [
            explained.drop(columns=["row", "place", "label"]),
            probabilities(read_rows(predictions), explained, classes),
            found,
            own_confidence(pd.concat(map(read_rows, mask_facts)), explained),
        ],
        axis=1,
    )
    log.info(
        "%d labels, %d right, %d without a true mask, %d without a segmentation",
        *(len(result), result.present.sum(), result.ceiling.isna().sum()),
        (result.mask_fraction == 0).sum(),
    )
    means = result.iou_original.mean(), result.iou_segx.mean()
    log.info("mean IoU@5 %% %.3f, with SegX %.3f", *means)
    with atomic_path(scores) as path:
        result.to_csv(path, index=False, float_format="%.9g")


def score(item) -> dict[str, float]:
    saliency, segmentation, truth = item
    saliency = saliency.astype(np.float64)
    return (
        dict(zip(FRACTIONS, (truth.mean(), segmentation.mean()), strict=True))
        | alignment_scores(saliency, segmentation, truth)
        | certainty_scores(saliency, segmentation)
    )


def probabilities(predictions, explained, classes) -> pd.DataFrame:
    """Probability of each explained label, its threshold, and the confidence that they give."""
    shape = (-1, len(classes))
    place = pd.Index(predictions.image_id.iloc[:: len(classes)]).get_indexer(explained.image_id)
    p = predictions.probability.to_numpy().reshape(shape)[place]
    thresholds = predictions.threshold.to_numpy()[: len(classes)]
    label = explained.label.to_numpy()
    maximum, entropy = label_confidences(p, thresholds, label)
    return pd.DataFrame(
        {
            "probability": p[np.arange(len(p)), label],
            "threshold": thresholds[label],
            "maximum_probability": maximum,
            "entropy": entropy,
        }
    )


def own_confidence(facts, explained) -> pd.Series:
    """Confidence of the segmenter in the mask of each explained label."""
    per_image = facts["mask"].max() + 1
    confidence = facts.confidence.to_numpy().reshape(-1, per_image)
    mask = explained.label if per_image > 1 else 0
    return pd.Series(confidence[explained.place, mask], name="segmentation_confidence")


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            truth=snakemake.input.truth,
            predictions=snakemake.input.predictions,
            maps=snakemake.input.maps,
            facts=snakemake.input.facts,
            masks=snakemake.input.masks,
            mask_facts=snakemake.input.mask_facts,
            classes=snakemake.params.classes,
            selection=snakemake.params.selection,
            workers=snakemake.threads,
            scores=snakemake.output.scores,
        )
