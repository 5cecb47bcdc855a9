"""A table of ExplainSeg: means with intervals, its printed forms, and paired tests."""

import pandas as pd

from segxai.job.files import atomic_path, join_scores
from segxai.job.log import job
from segxai.stats.tables import compare, printed, save, summarise

PRINTED = {"miou": "mIoU %", "dice": "Dice %"}


def main(scores, cells, published, number, pairs, titles, statistics, csv, md, tex, tests):
    images = join_scores(scores, cells)
    known = pd.read_csv(published, dtype={"table": str})
    table = summarise(images, "explainseg", number, known, statistics)
    layout = printed(table, titles, PRINTED)
    save(table, layout, csv, md, tex)
    with atomic_path(tests) as path:
        compare(images, pairs, statistics).to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.input.scores,
            cells=snakemake.params.cells,
            published=snakemake.input.published,
            number=snakemake.params.number,
            pairs=snakemake.params.pairs,
            titles=snakemake.params.titles,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
            tests=snakemake.output.tests,
        )
