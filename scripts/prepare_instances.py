"""Single true objects of each image, in the order of the images."""

from pathlib import Path

import numpy as np

from segxai.datasets.registry import read_records
from segxai.images.arrays import npy_rows, read_array
from segxai.images.load import load_instances, resize_instances
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import InputError, job, log
from segxai.metrics.instances import components
from segxai.segmenters.scope import scoped

LARGEST = np.iinfo(np.uint16).max


def main(receipt, samples, masks, reader, analysis_size, instances, facts):
    folder = Path(read_facts(receipt)["folder"])
    files = {record.image_id: record.instances for record in read_records(reader, folder)}
    table = read_rows(samples)[["image_id"]]
    # Where nobody told the objects of an image apart, those that do not touch are.
    table["annotated"] = [int(files[name] is not None) for name in table.image_id]
    shape, found = (analysis_size, analysis_size), []
    with atomic_path(instances) as temporary, npy_rows(temporary, shape, np.uint16) as append:
        for name, mask in zip(table.image_id, read_array(masks), strict=True):
            if files[name] is None:
                ids = components(scoped(mask[None], "union")[0])
            else:
                ids = resize_instances(load_instances(files[name]), analysis_size)
            if ids.max() > LARGEST:
                raise InputError(
                    f"{files[name] or name}: has objects up to number {ids.max()}, and {LARGEST} "
                    "is the largest that can be stored; number them from 1."
                )
            append(ids.astype(np.uint16))
            found.append(np.count_nonzero(np.unique(ids)))
    with atomic_path(facts) as path:
        table.assign(objects=found).to_csv(path, index=False)
    log.info("%d objects in %d images", sum(found), len(found))
    if guessed := int((table.annotated == 0).sum()):
        log.warning(
            "%d of %d images have no numbers of objects: connected components of their masks "
            "take their place, so that objects that touch are one",
            *(guessed, len(table)),
        )


if __name__ == "__main__":
    with job(snakemake):
        main(
            receipt=snakemake.input.receipt,
            samples=snakemake.input.samples,
            masks=snakemake.input.masks,
            reader=snakemake.params.reader,
            analysis_size=snakemake.params.analysis_size,
            instances=snakemake.output.instances,
            facts=snakemake.output.facts,
        )
