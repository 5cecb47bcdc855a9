"""Figure: error rate among the most confident predictions, for SegU and for its baselines."""

import pandas as pd

from segxai.data.records import read_rows
from segxai.report.segx_figures import risk_coverage
from segxai.report.style import save
from segxai.runtime import atomic_path, job


def main(scores, titles, rows, png, pdf):
    predictions = pd.concat(
        read_rows(path).assign(dataset=dataset, row=row) for path, dataset, row in scores
    )
    figure = risk_coverage(predictions, titles, rows)
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.params.scores,
            titles=snakemake.params.titles,
            rows=snakemake.params.rows,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
