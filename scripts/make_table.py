"""Table of a study: tidy numbers with intervals, their printed forms, and tests."""

import pandas as pd

from segxai.datasets.selection import chosen_images
from segxai.job.files import read_rows, read_scores, write_table
from segxai.job.log import log, run
from segxai.stats.agreement import agreements
from segxai.stats.comparisons import compare
from segxai.stats.layout import latex, markdown, printed, write_printed
from segxai.stats.tables import (
    COLUMNS,
    beside_published,
    of_splits,
    summarise,
    summarise_predictions,
    table_rows,
    with_compared,
    with_doses,
)
from segxai.workflow.studies import PATCH


def main(
    scores, predictions, patches, samples, published, table, spec, titles, names, segmenters,
    statistics, selections, csv, md, tex, tests,
):  # fmt: skip
    samples = dict(zip(spec["datasets"], map(read_rows, samples), strict=True))
    images = chosen_images(samples, selections)
    spec = spec | {"table": table}
    rows = with_compared(table_rows(read_scores(scores), images, spec), spec)
    parts = [summarise(rows, spec, statistics), agreements(rows, spec, statistics)]
    files = {"": predictions, PATCH: patches}
    classified = {kind: pd.concat(map(read_rows, own)) for kind, own in files.items() if own}
    if classified:
        groups = {name: known.set_index("image_id").group for name, known in samples.items()}
        parts.insert(0, summarise_predictions(classified, groups, spec, statistics))
    tidy = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    tidy = tidy.assign(study=spec["study"], table=table)
    known = pd.concat(map(read_rows, published)) if published else pd.DataFrame()
    tidy = beside_published(tidy, known)
    tidy = tidy[[*COLUMNS, *tidy.columns.difference(COLUMNS)]]
    write_table(csv, with_doses(tidy, segmenters))
    first = [(keys, next(of_splits(frame, spec["splits"]))[1]) for keys, frame in rows]
    write_table(tests, compare(first, spec, segmenters, statistics))
    layout = printed(tidy, spec, titles, names)
    write_printed({md: markdown(layout), tex: latex(layout)})
    log.info("%d rows: %s", len(tidy), csv)


if __name__ == "__main__":
    run(main, snakemake)
