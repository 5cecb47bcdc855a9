"""PNG files written from the specification alone, so that no decoder vouches for itself."""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # colour types
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16)}
DEPTHS[RGBA] = DEPTHS[RGB]
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
# Rows and columns of each pass of Adam7: first, step.
PASSES = [(0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2), (0, 2, 1, 2)]
PASSES += [(1, 2, 0, 1)]


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk with its length and checksum."""
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def encode_png(samples, depth, colour, palette=None, clear=None, interlaced=False, orientation=1):
    """Encode samples (H, W, n) of some bits; `clear` is the content of the tRNS chunk."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, int(interlaced))
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header)]
    exif = (
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01" + bytes([0, orientation, 0, 0]) + bytes(4)
    )
    parts += [chunk(b"eXIf", exif)] if orientation != 1 else []
    parts += [chunk(b"PLTE", palette.astype(np.uint8).tobytes())] if palette is not None else []
    parts += [chunk(b"tRNS", clear)] if clear is not None else []
    steps = PASSES if interlaced else [(0, 1, 0, 1)]
    strips = (samples[top::down, left::right] for top, down, left, right in steps)
    lines = b"".join(scanlines(strip, depth) for strip in strips if strip.size)
    return b"".join([*parts, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")])


def scanlines(samples, depth: int) -> bytes:
    """Rows of samples, unfiltered, each packed into whole bytes."""
    rows = samples.reshape(len(samples), -1).astype(">u2")
    bits = np.unpackbits(rows.view(np.uint8).reshape(*rows.shape, 2), axis=2)[..., -depth:]
    packed = np.packbits(bits.reshape(len(rows), -1), axis=1)
    return np.pad(packed, ((0, 0), (1, 0))).tobytes()


TURNS = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: np.rot90(x, -1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: np.rot90(x),
}
