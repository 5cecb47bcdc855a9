"""Figure: error rate among the most confident predictions, for SegU and for its baselines."""

from segxai.figures.segx import risk_coverage
from segxai.figures.style import save
from segxai.job.files import atomic_path, join_scores
from segxai.job.log import job


def main(scores, cells, titles, rows, png, pdf):
    figure = risk_coverage(join_scores(scores, cells), titles, rows)
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.input.scores,
            cells=snakemake.params.cells,
            titles=snakemake.params.titles,
            rows=snakemake.params.rows,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
