"""Table 3 or 4 of SegX: means with intervals, their printed forms, and tests."""

import pandas as pd

from segxai.data.records import read_scores
from segxai.report import alignment
from segxai.report.tables import latex, printed
from segxai.runtime import atomic_path, job, log

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


def main(scores, published, table, titles, statistics, csv, md, tex, tests):
    found = read_scores(scores)
    known = pd.read_csv(published, dtype={"table": str})
    summarise, compare, metrics = TABLES[table]
    result = summarise(found, known, statistics)
    layout = printed(result, titles, metrics)
    with atomic_path(csv) as path:
        result.to_csv(path, index=False, float_format="%.4f")
    with atomic_path(md) as path:
        path.write_text(layout.to_markdown() + "\n")
    with atomic_path(tex) as path:
        path.write_text(latex(layout))
    with atomic_path(tests) as path:
        compare(found).to_csv(path, index=False, float_format="%.6g")
    for line in layout.to_markdown().splitlines():
        log.info(line)


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.params.scores,
            published=snakemake.input.published,
            table=snakemake.wildcards.table,
            titles=snakemake.params.titles,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
            tests=snakemake.output.tests,
        )
