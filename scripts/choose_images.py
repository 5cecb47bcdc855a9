"""Choose the images of a data set that the selected studies explain and segment."""

from segxai.datasets.selection import chosen_rows, shard_column
from segxai.job.files import read_rows, write_table
from segxai.job.log import log, run


def main(samples, selections, shards, chosen):
    table = read_rows(samples)
    rows = chosen_rows(table, selections)
    images = table.iloc[rows][["image_id", "group", "split"]]
    images.insert(1, "row", rows)
    write_table(chosen, images.assign(shard=shard_column(len(rows), shards)))
    log.info("%d of %d images are explained, in %d shards", len(rows), len(table), shards)


if __name__ == "__main__":
    run(main, snakemake)
