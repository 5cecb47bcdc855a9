"""Figure: best, median and worst image of each data set with the masks of every variant."""

from segxai.report.examples import read_examples
from segxai.report.figures import examples
from segxai.report.style import colours, save
from segxai.runtime import atomic_path, job


def main(arrays, tables, titles, rows, png, pdf):
    chosen = {
        title: read_examples(*files)
        for title, *files in zip(titles.values(), arrays, tables, strict=True)
    }
    figure = examples(chosen, rows, colours(rows.values()))
    for output in (png, pdf):
        with atomic_path(output) as path:
            save(figure, path)


if __name__ == "__main__":
    with job(snakemake):
        main(
            arrays=snakemake.input.arrays,
            tables=snakemake.input.tables,
            titles=snakemake.params.titles,
            rows=snakemake.params.rows,
            png=snakemake.output.png,
            pdf=snakemake.output.pdf,
        )
