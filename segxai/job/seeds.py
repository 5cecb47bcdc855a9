"""Seeds of random draws, one per image."""

import zlib


def image_seed(seed: int, image_id: str) -> int:
    """Seed of one image: a pure function of the study's seed and the image's identifier.

    Random draws for an image then depend neither on the batch nor on the shard or the order.
    """
    return (seed * 0x9E3779B1 + zlib.crc32(image_id.encode())) % 2**32
