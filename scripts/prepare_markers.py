"""Masks of the planted shortcut, in the order of the images."""

from pathlib import Path

import numpy as np

from segxai.datasets.reading import read_records
from segxai.images.arrays import npy_rows
from segxai.images.load import load_mask, resize_mask
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import InputError, log, run


def main(receipt, samples, reader, analysis_size, markers, options=None):
    folder = Path(read_facts(receipt)["folder"])
    marked = {
        record.image_id: record.marker
        for record in read_records(reader, folder, options)
        if record.marker is not None
    }
    if not marked:
        raise InputError(f"{folder}: no image has a marker; set `source: shortcut`.")
    shape = (analysis_size, analysis_size)
    log.info("%d images bear the shortcut", len(marked))
    unmarked = np.zeros(shape, np.uint8)
    with atomic_path(markers) as temporary, npy_rows(temporary, shape) as append:
        for name in read_rows(samples)["image_id"]:
            mask = marked.get(name)
            append(unmarked if mask is None else resize_mask(load_mask(mask), analysis_size))


if __name__ == "__main__":
    run(main, snakemake)
