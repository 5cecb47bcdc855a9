"""How well the networks behind SegX classify and segment the test images."""

from segxai.job.files import atomic_path, read_rows, read_scores
from segxai.job.log import job, log
from segxai.stats.networks import networks


def main(predictions, predicted, overlap, segmented, samples, statistics, csv):
    groups = {name: read_rows(path).set_index("image_id").group for name, path in samples.items()}
    classified = read_scores(predictions, predicted)
    table = networks(classified, read_scores(overlap, segmented), groups, statistics)
    for one in table.itertuples():
        log.info("%s, %s: %s %.3f", one.dataset, one.row, one.metric, one.value)
    with atomic_path(csv) as path:
        table.to_csv(path, index=False, float_format="%.4f")
    log.info("%d rows: %s", len(table), csv)


if __name__ == "__main__":
    with job(snakemake):
        main(
            predictions=snakemake.input.predictions,
            predicted=snakemake.params.predicted,
            overlap=snakemake.input.overlap,
            segmented=snakemake.params.segmented,
            samples=dict(zip(snakemake.params.datasets, snakemake.input.samples, strict=True)),
            statistics=snakemake.params.statistics,
            csv=snakemake.output.csv,
        )
