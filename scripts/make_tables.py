"""A table of ExplainSeg: means with intervals, its printed forms, and paired tests."""

import pandas as pd

from segxai.data.records import read_rows
from segxai.report.tables import compare, printed, save, summarise
from segxai.runtime import atomic_path, job

PRINTED = {"miou": "mIoU %", "dice": "Dice %"}


def main(scores, published, number, rows, pairs, titles, statistics, csv, md, tex, tests):
    images = pd.concat(
        read_rows(path).assign(dataset=dataset, row=rows[segmenter])
        for path, dataset, segmenter in scores
    )
    known = pd.read_csv(published, dtype={"table": str})
    table = summarise(images, "explainseg", number, known, statistics)
    layout = printed(table, titles, PRINTED)
    save(table, layout, csv, md, tex)
    with atomic_path(tests) as path:
        compare(images, pairs, statistics).to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.params.scores,
            published=snakemake.input.published,
            **snakemake.params.table,
            titles=snakemake.params.titles,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
            tests=snakemake.output.tests,
        )
