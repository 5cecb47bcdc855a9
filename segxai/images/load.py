"""Pixels: from image files to arrays at the analysis size, and their channel statistics."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segxai.images import dicom
from segxai.job.log import InputError, reason

FORMATS = ("BMP", "JPEG", "PNG", "TIFF")  # of all that Pillow knows; one of them runs a program
JPEG = (".jpg", ".jpeg")
MASK_THRESHOLD = 127  # of 255: between the two peaks that JPEG leaves around 0 and 255
BETWEEN_PEAKS = slice(32, 224)  # grey values that a mask hardly has, even as JPEG


def load_image(path: Path) -> np.ndarray:
    """Load an image as RGB.

    Greyscale is repeated in the three channels, CMYK converted, an alpha channel dropped (the
    stored colours are kept). 16-bit images are scaled by their full range, 65535 to 255, never by
    their own extremes: equal values stay equal between images. An EXIF orientation is applied, to
    images and masks alike, because annotators outlined what their viewer showed. DICOM:
    :func:`segxai.images.dicom.read_grey`. Files of more than 179 megapixels or several frames, or
    in none of `FORMATS`, are refused, whatever their suffix.

    Returns
    -------
    image : ndarray of uint8, (H, W, 3)
    """
    return decode(path, to_rgb)


def load_mask(path: Path) -> np.ndarray:
    """Load a mask: foreground where its grey value exceeds 127 of 255.

    A mask without any value above 1, of 8 bits or 16, holds 0 and 1: it looks black, and 1 is
    foreground. In a JPEG 1 is noise. Refused is what would be empty although it shows something:
    values between 1 and 128, or a shape that is in its transparency alone.

    Returns
    -------
    mask : ndarray of bool, (H, W)
    """
    return decode(path, partial(to_mask, lossy=path.suffix.lower() in JPEG))


def load_instances(path: Path) -> np.ndarray:
    """Load a mask of single objects: the number of each, 0 for background, as stored.

    Returns
    -------
    ids : ndarray of int, (H, W)
    """
    ids = decode(path, np.asarray)
    if ids.ndim != 2 or ids.dtype.kind not in "biu" or ids.min() < 0:
        raise InputError(
            f"{path}: holds no instance ids (whole numbers from 0, in one channel); replace it by "
            "the original."
        )
    return ids


def is_mask(grey: np.ndarray) -> bool:
    """Whether an image has two values, 0 and 255, or is a JPEG of one that has."""
    counts = np.array(Image.fromarray(grey).histogram())
    between = counts[BETWEEN_PEAKS].sum()
    return bool(
        counts[: BETWEEN_PEAKS.start].any()
        and counts[BETWEEN_PEAKS.stop :].any()
        and between < 0.01 * grey.size
    )


def same_frame(mask: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether a mask has the size of its image, or a whole multiple of it.

    The multiple allows for images that were made smaller: both have the same frame, and the mask
    is resized from the size that it has.
    """
    factor = mask.shape[0] // shape[0]
    return mask.shape == (factor * shape[0], factor * shape[1])


def resize_image(image: np.ndarray, size: int) -> np.ndarray:
    """Resize to a square by a triangle filter as wide as the reduction (antialiased).

    It smooths enlarged images too, and unlike bicubic filters never overshoots.

    Parameters
    ----------
    image : ndarray of uint8, uint16 or float32, (H, W, C)
    size : int
        Side in pixels.

    Returns
    -------
    resized : ndarray of the type of `image`, (size, size, C)
    """
    resized = np.empty((size, size, image.shape[2]), image.dtype)
    for channel in range(image.shape[2]):
        plane = image[..., channel]
        if image.dtype != np.uint8:  # Pillow resizes 8-bit integers and 32-bit fractions
            plane = plane.astype(np.float32)
        shrunk = np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
        resized[..., channel] = shrunk.round() if image.dtype == np.uint16 else shrunk
    return resized


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


def resize_instances(ids: np.ndarray, size: int) -> np.ndarray:
    """Resize to a square: each new pixel takes the id of the old pixel under its centre.

    At another size than the original an object of few pixels may vanish, and outlines may differ
    from those of :func:`resize_mask` by a pixel.

    Parameters
    ----------
    ids : ndarray of int, (H, W)
    size : int
        Side in pixels.

    Returns
    -------
    resized : ndarray of the type of `ids`, (size, size)
    """
    rows, columns = (((np.arange(size) + 0.5) * side / size).astype(int) for side in ids.shape)
    return ids[np.ix_(rows, columns)]


def measure_channels(images: np.ndarray, rows: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels of the given images.

    Parameters
    ----------
    images : ndarray of uint8, uint16 or float32, (N, H, W, C)
        Read one image at a time: may be memory-mapped.
    rows : ndarray of int, (n,)

    Returns
    -------
    mean, std : list of float, (C,)
        Of whole numbers in units of their full range, 0…1; of fractions as they are.
    """
    moments = _fraction_moments if images.dtype.kind == "f" else _integer_moments
    mean, std = moments(images, rows)
    if (std == 0).any():
        raise InputError("a colour channel is constant over all training images; check the images.")
    return mean.tolist(), std.tolist()


def _integer_moments(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum the counts of each value: the result is exact in any order of the images."""
    n_values = np.iinfo(images.dtype).max + 1
    counts = np.zeros((images.shape[3], n_values), np.int64)
    for row in rows:
        for channel, of_value in enumerate(counts):
            of_value += np.bincount(images[row, ..., channel].ravel(), minlength=n_values)
    values = np.arange(n_values) / (n_values - 1)
    weights = counts / counts.sum(axis=1, keepdims=True)
    mean = weights @ values
    return mean, np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))


def _fraction_moments(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the images twice, because the mean square minus the squared mean loses digits."""
    mean = sum(images[row].mean(axis=(0, 1), dtype=np.float64) for row in rows) / len(rows)
    spread = sum(((images[row] - mean) ** 2).mean(axis=(0, 1)) for row in rows) / len(rows)
    return mean, np.sqrt(spread)


def decode(path: Path, convert: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """Read an image file upright, as the array that `convert` makes of it or a `ValueError`."""
    try:
        if path.suffix.lower() == dicom.SUFFIX:
            return convert(Image.fromarray(dicom.read_grey(path)))
        with Image.open(path, formats=FORMATS) as file:
            # The other pictures of an MPO are previews of the first.
            if getattr(file, "is_animated", False) and file.format != "MPO":
                raise ValueError("it holds several frames instead of one image")
            return convert(ImageOps.exif_transpose(file))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it from the original.") from None
    except UnidentifiedImageError:
        kind = "is no image that can be read" if path.stat().st_size else "is empty (0 bytes)"
        raise InputError(f"{path}: {kind}; replace it by an intact copy.") from None
    # Decoders answer a hostile file with almost any exception.
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read ({reason(error)}); replace it by an intact copy."
        ) from None


def to_rgb(image: Image.Image) -> np.ndarray:
    """Colours as 8-bit RGB (H, W, 3)."""
    return np.asarray(reduce_depth(image).convert("RGB"))


def to_grey(image: Image.Image) -> np.ndarray:
    """Luminance of 8 bits (H, W)."""
    return np.asarray(reduce_depth(image).convert("L"))


def to_mask(image: Image.Image, lossy: bool) -> np.ndarray:
    """Foreground (H, W): see :func:`load_mask`. A `lossy` image has noise around its two values."""
    grey, darkest = to_grey(image), BETWEEN_PEAKS.start if lossy else 1
    if image.mode.startswith("I;16") and np.asarray(image).max() <= 1:
        return np.asarray(image) > 0
    if darkest < grey.max() <= MASK_THRESHOLD:
        raise ValueError(f"its brightest value is {grey.max()}, a mask has 0 and 1 or 0 and 255")
    if "A" in image.getbands() and np.ptp(grey) == 0 and np.ptp(image.getchannel("A")):
        raise ValueError("its shape is in its transparency: save it as black and white")
    return grey > (0 if grey.max() <= 1 and not lossy else MASK_THRESHOLD)


def reduce_depth(image: Image.Image) -> Image.Image:
    """Scale 16-bit greyscale to 8 bits; other depths of more than 8 bits have no known range."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("32-bit pixels have no known range: save it with 8 or 16 bits")
    return image
