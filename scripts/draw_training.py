"""Figure: loss and validation score of networks by epoch."""

import numpy as np
import pandas as pd

from segxai.figures.explainseg import training
from segxai.figures.style import save
from segxai.job.files import atomic_path
from segxai.job.log import job


def main(histories, losses, png, pdf):
    # One network after the other, the seeds of each in a row.
    by_network = np.reshape(histories, (len(losses), -1))
    figure = training(
        {
            title: [pd.read_csv(path) for path in seeds]
            for title, seeds in zip(losses, by_network, strict=True)
        },
        losses,
    )
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            histories=snakemake.input.histories,
            losses=snakemake.params.losses,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
