"""How well single objects are found: AJI and panoptic quality, their means with intervals."""

import pandas as pd

from segxai.job.files import join_scores
from segxai.job.log import job, log
from segxai.stats.tables import INSTANCE_METRICS, INSTANCES_PRINTED, printed, save, summarise


def main(scores, cells, published, titles, statistics, csv, md, tex):
    images = join_scores(scores, cells)
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
            scores=snakemake.input.scores,
            cells=snakemake.params.cells,
            published=snakemake.input.published,
            titles=snakemake.params.titles,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
        )
