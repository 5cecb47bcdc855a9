"""Single true objects of each image, in the order of the images."""

from pathlib import Path

import numpy as np

from segxai.datasets.reading import read_records
from segxai.images.arrays import npy_rows
from segxai.images.load import load_instances, resize_instances
from segxai.images.masks import read_masks
from segxai.job.files import atomic_path, read_facts, read_rows, write_table
from segxai.job.log import InputError, log, run
from segxai.metrics.instances import components, warn_of_components

LARGEST = np.iinfo(np.uint16).max


def main(receipt, samples, truth, outlines, reader, analysis_size, instances, facts, options=None):
    folder = Path(read_facts(receipt)["folder"])
    records = read_records(reader, folder, options)
    files = {record.image_id: record.instances for record in records}
    samples = read_rows(samples)
    masks = read_masks(truth, outlines, samples)
    table = samples[["image_id"]]
    # Without object numbers, connected components are numbered.
    table = table.assign(annotated=[int(files[name] is not None) for name in table.image_id])
    shape, n_objects = (analysis_size, analysis_size), []
    with atomic_path(instances) as temporary, npy_rows(temporary, shape, np.uint16) as append:
        for row, name in enumerate(table.image_id):
            if files[name] is None:
                ids = components(masks.union(row))
            else:
                ids = resize_instances(load_instances(files[name]), analysis_size)
            if ids.max() > LARGEST:
                raise InputError(
                    f"{files[name] or name}: has objects up to number {ids.max()}, and {LARGEST} "
                    "is the largest that can be stored; number them from 1."
                )
            append(ids.astype(np.uint16))
            n_objects.append(np.count_nonzero(np.unique(ids)))
    write_table(facts, table.assign(objects=n_objects))
    log.info("%d objects in %d images", sum(n_objects), len(table))
    warn_of_components(table.annotated)


if __name__ == "__main__":
    run(main, snakemake)
