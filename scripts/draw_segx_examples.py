"""Figure: original explanations beside those of SegX, for right predictions and a sure error."""

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_rows, sharded
from segxai.figures.segx import Case, choose_cases, examples
from segxai.figures.style import colours, save
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log


def main(
    samples,
    images,
    truth,
    maps,
    masks,
    scores,
    titles,
    classes,
    selections,
    explainers,
    png,
    pdf,
):
    n = len(titles)
    # One data set after the other; of each the explainers in turn, and of each of these the shards.
    maps, masks = np.reshape(maps, (n, len(explainers), -1)), np.reshape(masks, (n, -1))
    scores = np.reshape(scores, (n, len(explainers)))
    files = zip(samples, images, truth, maps, masks, scores, strict=True)
    panels = {
        title: choose(*paths, classes[dataset], selections[dataset], explainers)
        for (dataset, title), paths in zip(titles.items(), files, strict=True)
    }
    figure = examples(panels, colours({"explainers": explainers}))
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


def choose(samples, images, truth, maps, masks, scores, classes, selection, explainers):
    """Gather the predictions of one data set that are shown."""
    table = read_rows(samples)
    rows = explained_rows(table, **selection)
    images, truth, masks = read_array(images), read_array(truth), sharded(rows, masks)
    scores = dict(zip(explainers, map(read_rows, scores), strict=True))
    predictions = scores[explainers[0]]
    maps = {
        explainer: sharded(predictions, files)
        for explainer, files in zip(explainers, maps, strict=True)
    }
    cases = []
    for rank, place in choose_cases(predictions).items():
        one = predictions.iloc[place]
        row = table.index[table.image_id == one.image_id][0]
        k = classes.index(one.target)
        cases.append(
            Case(
                rank=rank,
                target=one.target,
                label=table.label[row],
                present=one.present == 1,
                probability=one.probability,
                image=images[row],
                truth=of_label(truth[row], k),
                segmentation=of_label(masks[np.searchsorted(rows, row)], k),
                maps={name: arrays[place].astype(np.float32) for name, arrays in maps.items()},
                scores=pd.concat(
                    {name: file.iloc[[place]] for name, file in scores.items()}
                ).droplevel(1),
            )
        )
    log.info("%d of %d predictions shown", len(cases), len(predictions))
    return cases


def of_label(masks, k):
    """Mask of class `k` where masks are per class, else the image's."""
    return masks[k] if masks.ndim == 3 else masks


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            truth=snakemake.input.truth,
            maps=snakemake.input.maps,
            masks=snakemake.input.masks,
            scores=snakemake.input.scores,
            titles=snakemake.params.titles,
            classes=snakemake.params.classes,
            selections=snakemake.params.selections,
            explainers=snakemake.params.explainers,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
