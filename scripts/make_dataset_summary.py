"""What the data sets of the run hold, beside the counts of the papers and of their makers."""

import pandas as pd

from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import job, log
from segxai.stats.dataset_summary import arrange, latex_tables, markdown, printed, summarise


def main(receipts, samples, rejected, patches, published, official, definitions, csv, md, tex):
    published = pd.read_csv(published, dtype={"table": str})
    official = pd.read_csv(official)
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
    with atomic_path(csv) as path:
        summary.to_csv(path, index=False, float_format="%.6g")
    with atomic_path(md) as path:
        path.write_text(markdown(tables), encoding="utf-8")
    with atomic_path(tex) as path:
        path.write_text(latex_tables(tables), encoding="utf-8")
    for line in markdown(tables).splitlines():
        log.info(line)
    log.info("%d rows: %s", len(summary), csv)


if __name__ == "__main__":
    with job(snakemake):
        main(
            receipts=snakemake.input.receipts,
            samples=snakemake.input.samples,
            rejected=snakemake.input.rejected,
            patches=snakemake.input.patches,
            published=snakemake.input.published,
            official=snakemake.input.official,
            definitions=snakemake.params.definitions,
            csv=snakemake.output.csv,
            md=snakemake.output.md,
            tex=snakemake.output.tex,
        )
