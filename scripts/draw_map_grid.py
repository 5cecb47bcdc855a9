"""Figure: the maps of some predictions by all explainers, side by side."""

from segxai.figures.examples import read_examples
from segxai.figures.map_grid import map_grid
from segxai.figures.style import save
from segxai.job.log import run


def main(arrays, examples, titles, methods, shown, controls, png, pdf):
    # A data set in which no label was predicted has a panel without rows.
    panels = {
        title: read_examples(*files)
        for title, files in zip(titles.values(), zip(arrays, examples, strict=True), strict=True)
    }
    grey = {path for path in shown if path.partition("/")[2] in controls}
    save(map_grid(panels, {path: methods[path]["title"] for path in shown}, grey), png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
