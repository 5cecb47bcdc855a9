"""Load, check and resize the images and masks of a data set, and split it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from segxai.data.arrays import npy_rows
from segxai.data.images import load_pair
from segxai.data.records import SAMPLE_COLUMNS
from segxai.data.registry import read_records
from segxai.data.splits import choose_subset, split_by_group
from segxai.runtime import InputError, atomic_path, job, log, progress

BATCH = 16  # loaded pairs that wait in memory, per thread


def main(
    receipt,
    reader,
    analysis_size,
    max_images,
    max_rejected,
    split,
    threads,
    samples,
    images,
    masks,
    rejected,
):
    folder = Path(json.loads(Path(receipt).read_text(encoding="utf-8"))["folder"])
    records, sides = select(read_records(reader, folder), max_images, **split)
    rows, failures = [], []
    shape = (analysis_size, analysis_size)
    with (
        atomic_path(images) as images_file,
        atomic_path(masks) as masks_file,
        npy_rows(images_file, (*shape, 3)) as append_image,
        npy_rows(masks_file, shape) as append_mask,
    ):
        pairs = progress(
            load_pairs(records, analysis_size, threads), len(records), "images prepared"
        )
        for record, side, pair in zip(records, sides, pairs, strict=True):
            source = record.image.relative_to(folder).as_posix()
            if isinstance(pair, InputError):
                log.warning("rejected: %s", pair)
                failures.append((source, pair))
                continue
            image, mask, (height, width) = pair
            append_image(image)
            append_mask(mask)
            row = (record.image_id, source, height, width, record.group, side, record.label)
            rows.append((*row, int(mask.sum())))
        if len(failures) > max_rejected:
            raise InputError(
                f"{failures[0][1]} In all {len(failures)} images cannot be used, and "
                f"`max_rejected` of the data set allows {max_rejected}; the log names each."
            )
    write_table(samples, SAMPLE_COLUMNS, rows)
    # Relative to the data folder, so that the table does not depend on where it lies.
    reasons = [(source, str(error).replace(f"{folder}/", "")) for source, error in failures]
    write_table(rejected, ["file", "reason"], reasons)


def select(records, max_images, validation, seed):
    """Split the whole data set, then draw the subset: an image is on the same side in both."""
    labels = [record.label for record in records]
    sides = split_by_group([record.group for record in records], labels, validation, seed)
    if max_images is None or max_images >= len(records):
        return records, sides
    names = [record.image_id for record in records]
    chosen = choose_subset(names, zip(sides, labels, strict=True), max_images, seed)
    return [record for record, kept in zip(records, chosen, strict=True) if kept], sides[chosen]


def load_pairs(records, size, threads):
    """Load in parallel, in order, a few at a time; the error stands in for a bad pair."""

    def load(record):
        try:
            return load_pair(record, size)
        except InputError as error:
            return error

    # Threads suffice: Pillow decodes and resizes without holding the interpreter's lock.
    with ThreadPoolExecutor(threads) as pool:
        step = BATCH * threads
        for start in range(0, len(records), step):
            yield from pool.map(load, records[start : start + step])


def write_table(path, columns, rows):
    with atomic_path(path) as temporary:
        pd.DataFrame(rows, columns=columns).to_csv(temporary, index=False)


if __name__ == "__main__":
    with job(snakemake):
        main(
            receipt=snakemake.input.receipt,
            reader=snakemake.params.reader,
            analysis_size=snakemake.params.analysis_size,
            max_images=snakemake.params.max_images,
            max_rejected=snakemake.params.max_rejected,
            split=snakemake.params.split,
            threads=snakemake.threads,
            samples=snakemake.output.samples,
            images=snakemake.output.images,
            masks=snakemake.output.masks,
            rejected=snakemake.output.rejected,
        )
