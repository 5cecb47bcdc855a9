"""Figure: the numbers of a table as dots with intervals."""

from segxai.figures.dots import dots
from segxai.figures.style import save
from segxai.job.files import read_rows
from segxai.job.log import run
from segxai.stats.layout import printed_rows
from segxai.workflow.shown import CELL


def main(table, declared, controls, titles, names, png, pdf):
    numbers = read_rows(table)
    numbers[CELL] = numbers[CELL].astype(object).fillna("")
    shown = printed_rows(numbers, declared, names)
    # A line of panels has one network, so rows are called by their other keys alone.
    block = shown.dataset.map(titles) + ", " + shown.network.map(names["network"])
    row = shown.explainer.map(names["explainer"])
    save(dots(shown.assign(block=block, row=row), set(controls)), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
