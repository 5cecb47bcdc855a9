"""Figure: Dice of every image by method, with means and their intervals."""

import pandas as pd

from segxai.figures.explainseg import distributions
from segxai.figures.style import colours, save
from segxai.job.files import atomic_path, join_scores
from segxai.job.log import job
from segxai.stats.tables import per_image


def main(scores, cells, tables, titles, roles, png, pdf):
    images = join_scores(scores, cells)
    # Controls are rows of both tables.
    table = pd.concat(map(pd.read_csv, tables)).drop_duplicates(
        ["dataset", "split", "row", "metric"]
    )
    figure = distributions(per_image(images), table, titles, colours(roles))
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.input.scores,
            cells=snakemake.params.cells,
            tables=snakemake.input.tables,
            titles=snakemake.params.titles,
            roles=snakemake.params.roles,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
