"""Table 3 or 4 of SegX: means with intervals, their printed forms, and tests."""

import pandas as pd

from segxai.job.files import atomic_path, read_scores
from segxai.job.log import job
from segxai.stats import alignment
from segxai.stats.tables import printed, save

# Of each table what makes it, what tests it, and what of it is printed.
TABLES = {
    "segx_alignment": (
        alignment.alignment,
        alignment.compare_alignment,
        alignment.PRINTED_ALIGNMENT,
    ),
    "segu_certainty": (
        alignment.certainty,
        alignment.compare_certainty,
        alignment.PRINTED_CERTAINTY,
    ),
}


def main(scores, cells, published, table, titles, statistics, csv, md, tex, tests):
    found = read_scores(scores, cells)
    known = pd.read_csv(published, dtype={"table": str})
    summarise, compare, metrics = TABLES[table]
    result = summarise(found, known, statistics)
    layout = printed(result, titles, metrics)
    save(result, layout, csv, md, tex)
    with atomic_path(tests) as path:
        compare(found).to_csv(path, index=False, float_format="%.6g")


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.input.scores,
            cells=snakemake.params.cells,
            published=snakemake.input.published,
            table=snakemake.wildcards.table,
            titles=snakemake.params.titles,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
            tests=snakemake.output.tests,
        )
