"""Centred keys of a network's last attention block, for each chosen image."""

import numpy as np

from segxai.images.arrays import npy_rows, read_array
from segxai.images.display import display_image
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import log, progress, run
from segxai.segmenters import network_inputs


def main(
    images, chosen, network, channels, display, size, threads, token_keys,
    weights=None, statistics=None, card=None,
):  # fmt: skip
    rows, pixels = read_rows(chosen).row, read_array(images)
    trained = (weights, card, statistics) if weights else None
    device = torch_device(threads)
    loaded = network_inputs.load_network(network, size, trained, len(channels), device)

    def centred(row):
        # A body used as published has three channels.
        image = pixels[row] if trained else display_image(pixels[row], display)
        return network_inputs.keys(loaded, image, centre=True).astype(np.float16)

    # The network determines the number of tokens and the width of a key.
    shape = centred(0).shape
    with atomic_path(token_keys) as path, npy_rows(path, shape, np.float16) as append:
        for row in progress(rows, len(rows), "images read"):
            append(centred(row))
    log.info("keys of %d images, %d × %d tokens of %d", len(rows), *shape)


if __name__ == "__main__":
    run(main, snakemake)
