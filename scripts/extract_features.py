"""First principal component of the last block's keys, for each chosen image."""

import numpy as np

from segxai.images.arrays import npy_rows, read_array
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import log, progress, run
from segxai.networks.keys import key_features
from segxai.networks.network import Network
from segxai.views.components import first_component


def main(chosen, images, statistics, weights, card, network, channels, threads, features):
    device = torch_device(threads)
    rows, pixels = read_rows(chosen).row, read_array(images)
    loaded = Network.load(weights, card, statistics, network, len(channels), device)

    def feature_map(row):
        keys = key_features(loaded.module, loaded.inputs(pixels[row][None]))
        return first_component(keys[0].cpu().numpy()).astype(np.float16)

    # The network determines the number of positions of the keys.
    shape = feature_map(0).shape
    with atomic_path(features) as path, npy_rows(path, shape, np.float16) as append:
        for row in progress(rows, len(rows), "feature maps"):
            append(feature_map(row))
    log.info("%d feature maps of %d × %d", len(rows), *shape)


if __name__ == "__main__":
    run(main, snakemake)
