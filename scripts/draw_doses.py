"""Figure: what SegX gains and SegU tells as the segmentation gets worse."""

import pandas as pd

from segxai.figures.segx import doses
from segxai.figures.style import save
from segxai.job.files import atomic_path
from segxai.job.log import job


def main(table, networks, titles, rows, segmenter, png, pdf):
    figure = doses(
        *(pd.read_csv(path, keep_default_na=False, na_values=[""]) for path in (table, networks)),
        titles,
        rows,
        segmenter,
    )
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            table=snakemake.input.table,
            networks=snakemake.input.networks,
            titles=snakemake.params.titles,
            rows=snakemake.params.rows,
            segmenter=snakemake.params.segmenter,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
