"""Figure: loss and validation score of networks by epoch."""

from segxai.figures.style import save
from segxai.figures.training import training
from segxai.job.files import read_rows
from segxai.job.log import run


def main(histories, networks, png, pdf):
    # `networks` says of how many seeds each has histories, one network after the other.
    files = iter(histories)
    curves = [
        (network["title"], network["loss"], [read_rows(next(files)) for _ in network["seeds"]])
        for network in networks
    ]
    save(training(curves), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
