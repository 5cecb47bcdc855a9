"""Figure: a score of each image by segmenter, with means and their intervals."""

import pandas as pd

from segxai.figures.distributions import distributions
from segxai.figures.style import colours, save
from segxai.job.files import read_rows, read_scores
from segxai.job.log import run


def main(scores, tables, spec, titles, segmenters, png, pdf):
    table = pd.concat(map(read_rows, tables))
    table = table[(table.metric == spec["metric"]) & (table.split == table.split.iloc[0])]
    # Several tables have rows of controls.
    table = table.drop_duplicates(["dataset", "segmenter"])
    scores = read_scores(scores)
    figure = distributions(
        scores[scores.metric == spec["metric"]],
        table,
        {name: title for name, title in titles.items() if name in set(table.dataset)},
        {name: segmenters[name]["title"] for name in spec["segmenters"]},
        colours({name: segmenter["role"] for name, segmenter in segmenters.items()}),
        spec["metric"].replace("_", " ").capitalize(),
    )
    save(figure, png, pdf)


if __name__ == "__main__":
    run(main, snakemake)
