"""What a network says while an image loses its pixels in the order of each map of one shard."""

import numpy as np

from segxai.datasets.selection import targets_of
from segxai.explain.job import target_requests
from segxai.explain.maps import read_maps
from segxai.explain.removed import removal_curves
from segxai.images.arrays import npy_rows, read_array
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_rows, write_table
from segxai.job.log import log, progress, run
from segxai.metrics.scoring import places
from segxai.networks.network import Network


def main(
    samples, images, statistics, weights, card, targets, maps, map_rows, network, channels,
    selections, removals, seed, shard, threads, curves, rows,
):  # fmt: skip
    device = torch_device(threads)
    stored = read_maps(maps, map_rows)
    asked = targets_of(shard, read_rows(targets), read_rows(samples), selections)
    loaded = Network.load(weights, card, statistics, network, len(channels), device)
    requests = target_requests(loaded, read_array(images), asked, seed)
    # Curves of unlike length share an array, which is filled up by zeros that nobody reads.
    shape = len(removals), 2, max(removal["steps"] for removal in removals) + 1
    with atomic_path(curves) as path, npy_rows(path, shape, np.float32) as append:
        map_places = places(asked.target_id, stored.table.target_id, map_rows)
        for place in progress(map_places, len(map_places), "maps followed"):
            request, row = next(requests), np.zeros(shape, np.float32)
            for number, removal in enumerate(removals):
                how = removal["fill"], removal["steps"], removal["scale"]
                followed = removal_curves(loaded, request, stored[place].signed, *how)
                row[number, :, : removal["steps"] + 1] = followed
            append(row)
    write_table(rows, asked[["target_id"]])
    log.info("%d maps followed by %d curves each", len(asked), 2 * len(removals))


if __name__ == "__main__":
    run(main, snakemake)
