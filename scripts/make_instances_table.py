"""How well single objects are found: AJI and panoptic quality, their means with intervals."""

import pandas as pd

from segxai.data.records import read_rows
from segxai.report.tables import (
    INSTANCE_METRICS,
    INSTANCES_PRINTED,
    printed,
    save,
    summarise,
)
from segxai.runtime import job, log


def main(scores, published, rows, titles, statistics, csv, md, tex):
    images = pd.concat(
        read_rows(path).assign(dataset=dataset, row=rows[segmenter])
        for path, dataset, segmenter in scores
    )
    known = pd.read_csv(published, dtype={"table": str})
    table = summarise(images, "explainseg", "instances", known, statistics, INSTANCE_METRICS)
    layout = printed(table, titles, INSTANCES_PRINTED)
    save(table, layout, csv, md, tex)
    guessed = images[images.annotated == 0].groupby("dataset").image_id.nunique()
    for dataset, n in guessed.items():
        log.warning("%s: the true objects of %d images are components of masks", dataset, n)


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.params.scores,
            published=snakemake.input.published,
            rows=snakemake.params.rows,
            titles=snakemake.params.titles,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
        )
