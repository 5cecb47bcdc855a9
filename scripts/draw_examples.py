"""Figure: best, median and worst image of each data set with the masks of every variant."""

import numpy as np

from segxai.report.examples import read_examples
from segxai.report.figures import examples
from segxai.report.style import colours, save
from segxai.runtime import atomic_path, job


def main(files, titles, rows, png, pdf):
    # Arrays and table of one data set after those of the other.
    chosen = {
        title: read_examples(*pair)
        for title, pair in zip(titles.values(), np.reshape(files, (-1, 2)), strict=True)
    }
    figure = examples(chosen, rows, colours(rows.values()))
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            files=snakemake.input.examples,
            titles=snakemake.params.titles,
            rows=snakemake.params.rows,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
