"""Summary of the data sets of the run, with the counts of the papers and of the makers."""

import pandas as pd

from segxai.job.files import read_facts, read_rows, write_table
from segxai.job.log import log, run
from segxai.stats.dataset_summary import arrange, latex_tables, markdown, printed, summarise
from segxai.stats.layout import write_printed


def main(receipts, samples, rejected, patches, published, official, definitions, csv, md, tex):
    published, official = read_rows(published), read_rows(official)
    files = zip(definitions.items(), receipts, samples, rejected, patches, strict=True)
    summary = pd.concat(
        summarise(
            name,
            definition,
            samples=read_rows(used),
            rejected=read_rows(left_out),
            patches=read_rows(cut) if definition["patches"] else None,
            n_found=read_facts(receipt)["n_images"],
            published=published,
            official=official,
        )
        for (name, definition), receipt, used, left_out, cut in files
    )
    titles = {name: definition["title"] for name, definition in definitions.items()}
    tables = printed(arrange(summary, titles))
    write_table(csv, summary)
    write_printed({md: markdown(tables), tex: latex_tables(tables)})
    log.info("%d rows: %s", len(summary), csv)


if __name__ == "__main__":
    run(main, snakemake)
