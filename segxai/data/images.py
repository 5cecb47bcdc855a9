"""Pixels: from image files to arrays at the analysis size, and their channel statistics."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segxai.data.records import Record
from segxai.runtime import InputError

MASK_THRESHOLD = 127  # of 255: between the two peaks that JPEG leaves around 0 and 255


def load_image(path: Path) -> np.ndarray:
    """Load an image as RGB.

    Greyscale is repeated in the three channels, CMYK converted, an alpha channel dropped (the
    stored colours are kept). 16-bit images are scaled by their full range, 65535 to 255, never by
    their own extremes: equal values stay equal between images. An EXIF orientation is applied, to
    images and masks alike, because annotators outlined what their viewer showed.

    Returns
    -------
    image : ndarray of uint8, (H, W, 3)

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, of more than 179 megapixels, or no such image.
    """
    return decode(path, "RGB")


def load_mask(path: Path) -> np.ndarray:
    """Load a mask: foreground where its grey value exceeds 127 of 255.

    Returns
    -------
    mask : ndarray of bool, (H, W)

    Raises
    ------
    InputError
        As :func:`load_image`.
    """
    return decode(path, "L") > MASK_THRESHOLD


def load_pair(record: Record, size: int) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Load an image and its mask at the analysis size.

    Returns
    -------
    image : ndarray of uint8, (size, size, 3)
    mask : ndarray of uint8, (size, size)
        0 or 1.
    shape : tuple of int
        Height and width of the original, in pixels.

    Raises
    ------
    InputError
        If either cannot be loaded or their sizes differ.
    """
    image, mask = load_image(record.image), load_mask(record.mask)
    shape = image.shape[:2]
    if shape != mask.shape:
        raise InputError(
            f"{record.mask}: is {mask.shape[1]}×{mask.shape[0]} pixels but its image "
            f"{shape[1]}×{shape[0]}; replace either by its original."
        )
    return resize_image(image, size), resize_mask(mask, size), shape


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """Resize to a square by a triangle filter as wide as the reduction (antialiased).

    It smooths enlarged images too, and unlike bicubic filters never overshoots.

    Parameters
    ----------
    image : ndarray of uint8, (H, W, 3)
    size : int
        Side in pixels.

    Returns
    -------
    resized : ndarray of uint8, (size, size, 3)
    """
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Resize to a square: foreground where it covers more than half of the new pixel's area.

    The rule favours neither side of the outline; picking the nearest pixel instead would make
    the outline ragged where the mask shrinks.

    Parameters
    ----------
    mask : ndarray of bool, (H, W)
    size : int
        Side in pixels.

    Returns
    -------
    resized : ndarray of uint8, (size, size)
        0 or 1.
    """
    share = Image.fromarray(mask.astype(np.float32)).resize((size, size), Image.Resampling.BOX)
    return (np.asarray(share) > 0.5).astype(np.uint8)


def channel_statistics(images: np.ndarray, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels of the given images.

    Counts of the 256 values are summed, so the result is exact in any order of the images.

    Parameters
    ----------
    images : ndarray of uint8, (N, H, W, 3)
        Read one image at a time: may be memory-mapped.
    rows : ndarray of int, (n,)

    Returns
    -------
    mean, std : list of float, (3,)
        In units of the full range, 0…1.

    Raises
    ------
    InputError
        If a channel is constant.
    """
    counts = np.zeros((3, 256), np.int64)
    for row in rows:
        for channel in range(3):
            counts[channel] += np.bincount(images[row, ..., channel].ravel(), minlength=256)
    values = np.arange(256) / 255
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    std = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
    if (std == 0).any():
        raise InputError("a colour channel is constant over all training images; check the images.")
    return mean.tolist(), std.tolist()


def decode(path: Path, mode: str) -> np.ndarray:
    """Read an image file upright in Pillow's 8-bit `mode` ("RGB" or "L")."""
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            return np.asarray(reduce_depth(image).convert(mode))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it or remove its counterpart.") from None
    except UnidentifiedImageError:
        kind = "is no image that can be read" if path.stat().st_size else "is empty (0 bytes)"
        raise InputError(f"{path}: {kind}; replace it by an intact copy.") from None
    # Decoders answer a hostile file with almost any exception.
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read ({error}); replace it by an intact copy."
        ) from None


def reduce_depth(image: Image.Image) -> Image.Image:
    """Scale 16-bit greyscale to 8 bits; other depths of more than 8 bits have no known range."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no known range: save it with 8 or 16 bits")
    return image
