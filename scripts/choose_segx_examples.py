"""Predictions of a data set that a reader is shown, with their maps, masks and scores."""

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_rows, sharded
from segxai.figures.examples import Examples, choose_predictions, write_examples
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.page.gallery import SEGX_SCORES
from segxai.segmenters.scope import mask_of

# A third of them are errors; the classifiers share them.
COUNT = 72
KEYS = ["image_id", "target"]


def main(
    samples, images, truth, maps, masks, scores, rows, models, classes, selection, arrays, table
):
    known = read_rows(samples)
    explained = explained_rows(known, **selection)
    scores = dict(zip(rows, map(read_rows, scores), strict=True))
    # Explainers of one classifier explain the same predictions: the first of them chooses.
    first = [next(row for row in rows if row.split()[0] == model) for model in models]
    count = COUNT // len(first)
    cases = [scores[row].iloc[choose_predictions(scores[row], count)] for row in first]
    chosen = pd.concat(cases).drop_duplicates(KEYS, ignore_index=True)
    log.info("%d predictions chosen by %s", len(chosen), ", ".join(first))
    # Another classifier may not have predicted the label: its place is −1.
    places = {
        row: pd.MultiIndex.from_frame(found[KEYS]).get_indexer(
            pd.MultiIndex.from_frame(chosen[KEYS])
        )
        for row, found in scores.items()
    }
    row_of = pd.Index(known.image_id).get_indexer(chosen.image_id)
    label_of = pd.Index(classes).get_indexer(chosen.target)
    place_of = np.searchsorted(explained, row_of)
    segmentations, truths = sharded(explained, masks), read_array(truth)
    examples = Examples(
        table=chosen[["image_id", "split", "target", "present"]].assign(
            label=known.label.to_numpy()[row_of],
            rank="",
            **{
                f"{score}:{row}": at(found[score].to_numpy(np.float64), places[row], np.nan)
                for row, found in scores.items()
                for score in SEGX_SCORES
            },
        ),
        images=read_array(images)[row_of],
        truth=of_labels(truths, row_of, label_of),
        maps={
            row: np.rint(255 * at(sharded(scores[row], files), places[row], 0))
            for row, files in zip(rows, maps, strict=True)
        },
        masks={"segmentation": of_labels(segmentations, place_of, label_of)},
    )
    with atomic_path(arrays) as arrays_path, atomic_path(table) as table_path:
        write_examples(examples, arrays_path, table_path)


def at(values, places, absent):
    """Values at some places, `absent` where the place is −1."""
    found = np.full((len(places), *values.shape[1:]), absent, dtype=np.float32)
    found[places >= 0] = values[places[places >= 0]]
    return found


def of_labels(masks, places, labels):
    """Mask of each label at its place; an empty array of masks where there are none."""
    chosen = [mask_of(masks[place], label) for place, label in zip(places, labels, strict=True)]
    return np.array(chosen, dtype=np.uint8).reshape(len(chosen), *masks.shape[-2:])


if __name__ == "__main__":
    with job(snakemake):
        given, chosen = snakemake.input, snakemake.params
        main(
            samples=given.samples,
            images=given.images,
            truth=given.truth,
            maps=np.reshape(given.maps, (len(chosen.rows), -1)),
            masks=given.masks,
            scores=given.scores,
            rows=chosen.rows,
            models=chosen.models,
            classes=chosen.classes,
            selection=chosen.selection,
            arrays=snakemake.output.arrays,
            table=snakemake.output.table,
        )
