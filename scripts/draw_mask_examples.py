"""Figure: best, median and worst image of each data set with the masks of some methods."""

from segxai.figures.examples import read_examples, score_key
from segxai.figures.mask_examples import mask_examples
from segxai.figures.style import colours, save
from segxai.job.log import run


def main(arrays, examples, titles, methods, shown, rank, rank_title, png, pdf):
    # `methods` are all methods of the study, so that colours agree with its other figures.
    shades = colours({path: method["role"] for path, method in methods.items()})
    panels = map(read_examples, arrays, examples)
    figure = mask_examples(
        {titles[panel.table.dataset.iloc[0]]: panel for panel in panels if len(panel.table)},
        {path: methods[path]["title"] for path in shown},
        shades,
        score_key(rank),
        rank_title,
    )
    save(figure, png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
