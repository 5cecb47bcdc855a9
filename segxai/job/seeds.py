"""What an image's draws depend on: two numbers, nothing else."""

import zlib


def image_seed(seed: int, image_id: str) -> int:
    """Seed of one image: a pure function of the study's seed and the image's identifier.

    Whatever is drawn for an image then depends neither on the batch, the shard nor the order.
    """
    return (seed * 0x9E3779B1 + zlib.crc32(image_id.encode())) % 2**32
