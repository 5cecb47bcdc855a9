"""List of all targets: each predicted label or region of the chosen images."""

import numpy as np

from segxai.datasets.samples import label_matrix
from segxai.datasets.selection import chosen_rows, shard_column
from segxai.job.files import read_rows, write_table
from segxai.job.log import log, run

COLUMNS = [
    *("target_id", "image_id", "row", "group", "split", "kind", "label"),
    *("channel", "region", "correct", "shard"),
]


def main(samples, predictions, classes, selections, shards, targets):
    table, predicted = read_rows(samples), read_rows(predictions)
    # A segmenter's predictions are regions, each with the segmenter's confidence in it.
    kind = "region" if "confidence" in predicted else "label"
    channels = predicted["class"].unique().tolist()
    rows = chosen_rows(table, selections)
    chosen = table.iloc[rows][["image_id", "group", "split"]].assign(row=rows)
    explained = chosen.merge(
        predicted[predicted.predicted == 1][["image_id", "class"]], on="image_id"
    )
    explained["channel"] = explained["class"].map(channels.index).astype(int)
    explained = explained.sort_values(["row", "channel"], ignore_index=True)
    if kind == "label":
        shown = label_matrix(table, classes)[explained.row, explained.channel].astype(int)
        explained = explained.assign(label=explained["class"], region="", correct=shown)
    else:
        explained = explained.assign(label="", region="predicted", correct=np.nan)
    explained = explained.assign(
        target_id=explained.image_id + ":" + explained["class"],
        kind=kind,
        shard=shard_column(len(explained), shards),
    )
    write_table(targets, explained[COLUMNS])
    without = len(rows) - explained.image_id.nunique()
    log.info("%d targets of %d images, in %d shards", len(explained), len(rows), shards)
    if without:
        log.warning("%d images have no map: no %s is predicted for them", without, kind)


if __name__ == "__main__":
    run(main, snakemake)
