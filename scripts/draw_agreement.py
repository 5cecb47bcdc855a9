"""Figure: how alike metrics order the methods of a table."""

from segxai.figures.agreement import agreement
from segxai.figures.style import save
from segxai.job.files import read_rows
from segxai.job.log import run
from segxai.stats.layout import in_blocks


def main(table, declared, titles, names, families, png, pdf):
    shown = in_blocks(read_rows(table), declared, titles, names)
    shown = shown.assign(family=shown.metric.map(families))
    save(agreement(shown), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
