"""Figure: loss and validation score of networks by epoch."""

import pandas as pd

from segxai.figures.style import save
from segxai.figures.training import training
from segxai.job.files import read_rows
from segxai.job.log import run


def main(histories, networks, png, pdf):
    epochs = pd.concat(map(read_rows, histories))
    by_network = dict(list(epochs.groupby(["dataset", "network"])))
    curves = [
        (
            network["title"],
            network["loss"],
            [run for _, run in by_network[network["dataset"], network["network"]].groupby("seed")],
        )
        for network in networks
    ]
    save(training(curves), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
