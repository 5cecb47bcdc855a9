"""How much each target of one shard falls without sets of squares: the same for all maps."""

import numpy as np

from segxai.datasets.selection import targets_of
from segxai.explain.job import target_requests
from segxai.explain.removed import square_falls
from segxai.images.arrays import npy_rows, read_array
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_rows, write_table
from segxai.job.log import log, progress, run
from segxai.job.seeds import image_seed
from segxai.metrics.squares import square_sets
from segxai.networks.network import Network


def main(
    samples, images, statistics, weights, card, targets, network, channels, selections, removals,
    seed, shard, threads, falls, rows,
):  # fmt: skip
    device = torch_device(threads)
    asked = targets_of(shard, read_rows(targets), read_rows(samples), selections)
    loaded = Network.load(weights, card, statistics, network, len(channels), device)
    requests = target_requests(loaded, read_array(images), asked, seed)
    shape = len(removals), len(square_sets(0))
    with atomic_path(falls) as path, npy_rows(path, shape, np.float32) as append:
        for name in progress(asked.image_id, len(asked), "images asked about"):
            request, own = next(requests), image_seed(seed, name)
            append(np.stack([square_falls(loaded, request, r["fill"], own) for r in removals]))
    write_table(rows, asked[["target_id"]])
    log.info("%d targets without %d sets of squares each", len(asked), shape[1])


if __name__ == "__main__":
    run(main, snakemake)
