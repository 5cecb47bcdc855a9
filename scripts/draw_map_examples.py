"""Figure: maps beside their part inside the segmentation, for correct predictions and an error."""

from segxai.figures.examples import read_examples, score_key
from segxai.figures.map_examples import map_examples
from segxai.figures.style import colours, save
from segxai.job.log import run


def main(arrays, examples, titles, methods, shown, values, png, pdf):
    shades = colours({path: method["role"] for path, method in methods.items()})
    # A data set in which no label was predicted has a panel without rows.
    panels = {
        title: read_examples(*files)
        for title, files in zip(titles.values(), zip(arrays, examples, strict=True), strict=True)
    }
    keyed = [{"short": value["metric"]} | value | {"key": score_key(value)} for value in values]
    save(
        map_examples(panels, {path: methods[path]["title"] for path in shown}, shades, keyed),
        png,
        pdf,
    )


if __name__ == "__main__":
    run(main, snakemake)
