"""Maps or masks of all shards in one file, in the order of the shards."""

from pathlib import Path

from segxai.images.arrays import npy_rows, read_array
from segxai.job.files import REMAKE, atomic_path, read_rows
from segxai.job.log import InputError, log, run


def main(arrays, tables, array, table):
    parts = [read_array(file) for file in arrays]
    for part, file in zip(parts, tables, strict=True):
        n_facts = len(read_rows(file))
        if len(part) != n_facts:
            raise InputError(f"{file}: describes {n_facts} rows instead of {len(part)}; {REMAKE}.")
    # A shard with rows gives their shape.
    known = max(range(len(parts)), key=lambda place: len(parts[place]) > 0)
    shape, dtype = parts[known].shape[1:], parts[known].dtype
    with atomic_path(array) as path, npy_rows(path, shape, dtype) as append:
        for part in parts:
            for row in part:
                append(row)
    # As text, so that no number changes.
    lines = [Path(file).read_text(encoding="utf-8").splitlines(keepends=True) for file in tables]
    with atomic_path(table) as path:
        text = "".join([lines[known][0], *(line for part in lines for line in part[1:])])
        path.write_text(text, encoding="utf-8")
    log.info("%d rows of %d shards", sum(map(len, parts)), len(parts))


if __name__ == "__main__":
    run(main, snakemake)
