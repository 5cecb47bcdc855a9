"""Figures: best, median and worst image of each data set with the masks of some methods."""

import numpy as np

from segxai.figures.examples import read_examples
from segxai.figures.explainseg import examples
from segxai.figures.style import colours, save
from segxai.job.files import atomic_path
from segxai.job.log import job


def main(files, titles, rows, roles, columns, outputs):
    # Arrays and table of one data set after those of the other.
    chosen = {
        title: read_examples(*pair)
        for title, pair in zip(titles.values(), np.reshape(files, (-1, 2)), strict=True)
    }
    # A PNG and a PDF of each figure.
    for methods, pair in zip(columns, np.reshape(outputs, (-1, 2)), strict=True):
        figure = examples(chosen, {name: rows[name] for name in methods}, colours(roles))
        for output in pair:
            with atomic_path(output) as path:
                save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            files=snakemake.input.examples,
            titles=snakemake.params.titles,
            rows=snakemake.params.rows,
            roles=snakemake.params.roles,
            columns=snakemake.params.columns,
            outputs=snakemake.output,
        )
