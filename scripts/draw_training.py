"""Figure: loss and accuracy of the classifiers by epoch."""

import numpy as np
import pandas as pd

from segxai.report.figures import training
from segxai.report.style import save
from segxai.runtime import atomic_path, job


def main(histories, titles, png, pdf):
    # One data set after the other, the seeds of each in a row.
    by_dataset = np.reshape(histories, (len(titles), -1))
    figure = training(
        {
            title: [pd.read_csv(path) for path in seeds]
            for title, seeds in zip(titles.values(), by_dataset, strict=True)
        }
    )
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            histories=snakemake.input.histories,
            titles=snakemake.params.titles,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
