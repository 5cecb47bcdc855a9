"""Load, check and resize the images and masks of a data set, and split it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd

from segxai.datasets.pairs import load_pair
from segxai.datasets.reading import read_records
from segxai.datasets.record import RGB, SAMPLE_COLUMNS, label_columns
from segxai.datasets.samples import require_sides, select_records
from segxai.datasets.splits import TEST, TRAIN
from segxai.images.arrays import npy_rows
from segxai.images.masks import mask_rows
from segxai.job.files import atomic_path, read_facts, write_table
from segxai.job.log import InputError, log, progress, run

BATCH = 16  # loaded pairs that wait in memory, per thread


def main(
    receipt, reader, classes, analysis_size, max_images, max_rejected, split, threads, samples,
    images, truth, outlines, rejected,
    options=None, channels=RGB, mask_mismatch="drop", bits=None,
):  # fmt: skip
    folder = Path(read_facts(receipt)["folder"])
    records = [replace(record, bits=bits) for record in read_records(reader, folder, options)]
    columns = label_columns(records, classes)
    records, sides = select_records(records, max_images, split)
    log_moved(records, sides, split)
    pairs = load_pairs(records, threads, analysis_size, classes, channels, mask_mismatch)
    pairs = zip(records, sides, progress(pairs, len(records), "images prepared"), strict=True)
    with (
        mask_rows(truth, outlines, analysis_size) as append_masks,
        atomic_path(images) as images_file,
        npy_rows(images_file, (analysis_size, analysis_size, len(channels)), None) as append_image,
    ):
        rows, failures = store(pairs, columns, folder, append_image, append_masks)
        require_few(failures, max_rejected)
        require_sides([row[SAMPLE_COLUMNS.index("split")] for row in rows], folder)
    log.info("%d images, %d rejected", len(rows), len(failures))
    table = pd.DataFrame(rows, columns=[*SAMPLE_COLUMNS, *columns, "mask_pixels", "mask_resized"])
    # Whole numbers, empty for an unknown outline.
    write_table(samples, table.astype({"mask_pixels": "Int64"}))
    # Relative to the data folder, so that the table does not depend on its place.
    reasons = [(source, reason.replace(f"{folder}/", "")) for source, reason in failures]
    write_table(rejected, pd.DataFrame(reasons, columns=["file", "reason"]))


def store(pairs, columns, folder, append_image, append_masks):
    """Store the usable images and masks; return the rows of both tables."""
    rows, failures = [], []
    for record, side, pair in pairs:
        source = record.image.relative_to(folder).as_posix()
        if isinstance(pair, InputError):
            log.warning("rejected: %s", pair)
            failures.append((source, str(pair)))
            continue
        append_image(pair.image)
        append_masks(len(rows), pair.masks)
        shown = [int(column.removeprefix("label_") in record.labels) for column in columns]
        row = (record.image_id, source, *pair.shape, record.group, side, record.label)
        rows.append((*row, *shown, pair.mask_pixels, int(pair.resized)))
    return rows, failures


def log_moved(records, sides, split):
    """Log the number of published training images in the test set because of their patient."""
    moved = sum(
        record.split == TRAIN and side == TEST for record, side in zip(records, sides, strict=True)
    )
    if moved and split.get("by") == "official":
        log.info("%d training images of patients on both official sides are tested", moved)


def load_pairs(records, threads, *settings):
    """Load in parallel, in order, a few at a time; a bad pair yields its error."""

    def load(record):
        try:
            return load_pair(record, *settings)
        except InputError as error:
            return error

    dtype = None
    # Threads suffice: Pillow decodes and resizes without holding the interpreter's lock.
    with ThreadPoolExecutor(threads) as pool:
        step = BATCH * threads
        for start in range(0, len(records), step):
            batch = records[start : start + step]
            for record, pair in zip(batch, pool.map(load, batch), strict=True):
                if not isinstance(pair, InputError):
                    dtype = dtype or pair.image.dtype
                    if pair.image.dtype != dtype:
                        pair = InputError(
                            f"{record.image}: its pixels are {pair.image.dtype} and those of the "
                            f"images before it {dtype}; replace it by the original."
                        )
                yield pair


def require_few(failures, max_rejected):
    """Stop the run if more images are unusable than the configuration allows."""
    if len(failures) > max_rejected:
        raise InputError(
            f"{failures[0][1].rstrip('.')}; in all {len(failures)} images cannot be used, "
            f"and `max_rejected` of the data set allows {max_rejected}; the log names each."
        )


if __name__ == "__main__":
    run(main, snakemake)
