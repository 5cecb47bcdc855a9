"""Whether explanations and SegU show the planted shortcut."""

from segxai.job.files import atomic_path, read_scores
from segxai.job.log import job, log
from segxai.stats.alignment import shortcut


def main(scores, cells, statistics, csv):
    table = shortcut(read_scores(scores, cells), statistics)
    for line in table.to_string(index=False, float_format="%.3f").splitlines():
        log.info(line)
    with atomic_path(csv) as path:
        table.to_csv(path, index=False, float_format="%.4f")
    log.info("%d rows: %s", len(table), csv)


if __name__ == "__main__":
    with job(snakemake):
        main(
            scores=snakemake.input.scores,
            cells=snakemake.params.cells,
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
        )
