"""Load, check and resize the images and masks of a data set, and split it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd

from segxai.datasets.pairs import load_pair
from segxai.datasets.record import SAMPLE_COLUMNS, label_columns
from segxai.datasets.registry import read_records
from segxai.datasets.samples import require_sides, select_records
from segxai.datasets.splits import TEST, TRAIN
from segxai.images.arrays import npy_rows
from segxai.job.files import atomic_path, read_facts
from segxai.job.log import InputError, job, log, progress

BATCH = 16  # loaded pairs that wait in memory, per thread


def main(
    receipt,
    reader,
    ground_truth,
    classes,
    analysis_size,
    max_images,
    max_rejected,
    split,
    threads,
    samples,
    images,
    masks,
    rejected,
    abnormalities=None,
    mask_mismatch="drop",
):
    folder = Path(read_facts(receipt)["folder"])
    records = read_records(reader, folder, ground_truth, abnormalities)
    columns = label_columns(records, classes)
    records, sides = select_records(records, max_images, split)
    moved = sum(each.split == TRAIN and to == TEST for each, to in zip(records, sides, strict=True))
    if moved and split.get("by") == "official":
        log.info("%d training images of patients on both official sides are tested", moved)
    rows, failures = [], []
    shape = (analysis_size, analysis_size)
    with (
        atomic_path(images) as images_file,
        atomic_path(masks) as masks_file,
        npy_rows(images_file, (*shape, 3)) as append_image,
        npy_rows(masks_file, (len(columns), *shape) if columns else shape) as append_mask,
    ):
        pairs = load_pairs(records, threads, analysis_size, classes, mask_mismatch)
        pairs = progress(pairs, len(records), "images prepared")
        for record, side, pair in zip(records, sides, pairs, strict=True):
            source = record.image.relative_to(folder).as_posix()
            if isinstance(pair, InputError):
                log.warning("rejected: %s", pair)
                failures.append((source, pair))
                continue
            append_image(pair.image)
            append_mask(pair.mask)
            row = (record.image_id, source, *pair.shape, record.group, side, record.label)
            shown = [int(name in record.labels) for name in classes] if columns else []
            mask_pixels = int(pair.mask.reshape(-1, *shape).max(axis=0).sum())
            rows.append((*row, *shown, mask_pixels, int(pair.resized)))
        if len(failures) > max_rejected:
            raise InputError(
                f"{str(failures[0][1]).rstrip('.')}; in all {len(failures)} images cannot be used, "
                f"and `max_rejected` of the data set allows {max_rejected}; the log names each."
            )
        require_sides([row[SAMPLE_COLUMNS.index("split")] for row in rows], folder)
    log.info("%d images, %d rejected", len(rows), len(failures))
    write_table(samples, [*SAMPLE_COLUMNS, *columns, "mask_pixels", "mask_resized"], rows)
    # Relative to the data folder, so that the table does not depend on where it lies.
    reasons = [(source, str(error).replace(f"{folder}/", "")) for source, error in failures]
    write_table(rejected, ["file", "reason"], reasons)


def load_pairs(records, threads, *settings):
    """Load in parallel, in order, a few at a time; the error stands in for a bad pair."""

    def load(record):
        try:
            return load_pair(record, *settings)
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
            ground_truth=snakemake.params.ground_truth,
            classes=snakemake.params.classes,
            analysis_size=snakemake.params.analysis_size,
            max_images=snakemake.params.max_images,
            max_rejected=snakemake.params.max_rejected,
            split=snakemake.params.split,
            threads=snakemake.threads,
            samples=snakemake.output.samples,
            images=snakemake.output.images,
            masks=snakemake.output.masks,
            rejected=snakemake.output.rejected,
            abnormalities=snakemake.params.abnormalities,
            mask_mismatch=snakemake.params.mask_mismatch,
        )
