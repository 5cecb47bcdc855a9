"""What an image's draws and a shard's rows depend on: seeds and bounds, nothing else."""

import zlib

import numpy as np


def image_seed(seed: int, image_id: str) -> int:
    """Seed of one image: a pure function of the study's seed and the image's identifier.

    Whatever is drawn for an image then depends neither on the batch, the shard nor the order.
    """
    return (seed * 0x9E3779B1 + zlib.crc32(image_id.encode())) % 2**32


def shard_rows(n: int, shard: int, shards: int) -> slice:
    """Rows of shard `shard` of `shards`: contiguous, disjoint, and together 0…n−1."""
    bounds = np.linspace(0, n, shards + 1).round().astype(int)
    return slice(int(bounds[shard]), int(bounds[shard + 1]))
