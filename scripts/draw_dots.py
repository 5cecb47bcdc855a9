"""Figure: the numbers of a table as dots with intervals."""

from segxai.figures.dots import dots
from segxai.figures.style import save
from segxai.job.files import read_rows
from segxai.job.log import run
from segxai.stats.layout import in_blocks


def main(table, declared, controls, titles, names, png, pdf):
    shown = in_blocks(read_rows(table), declared, titles, names)
    save(dots(shown, set(controls)), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
