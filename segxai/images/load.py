"""Pixels: from image files to arrays at the analysis size, and their channel statistics."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageChops, ImageOps, UnidentifiedImageError

from segxai.images import dicom
from segxai.images.seams import MASK_THRESHOLD, NOISE, third_value
from segxai.job.log import InputError, reason

FORMATS = ("BMP", "JPEG", "PNG", "TIFF")  # of all that Pillow supports; one of those runs a program
DEPTH = re.compile("(?<!BGR);(12|16)")  # bits of a value in Pillow's names; BGR;16 has 5 or 6
MOST_NOISE = 100  # of 255: JPEG noise beyond this is indistinguishable from grey


class Unsuitable(ValueError):
    """Unsuitable content of an intact file: the problem and the remedy."""


def load_image(path: Path, bits: int | None = None) -> np.ndarray:
    """Load an image as RGB.

    Greyscale is repeated in the three channels, CMYK converted, an alpha channel dropped (the
    stored colours are kept). An EXIF orientation is applied, to images and masks alike, because
    annotators outlined what their viewer showed. For DICOM see
    :func:`segxai.images.dicom.read_grey`. The content decides about the format, not the suffix.
    Files of more than 179 megapixels or several frames, or in none of `FORMATS`, are refused.

    Parameters
    ----------
    bits : int, optional
        Number of bits that the 16-bit images of the data set use, all by default. Their range, 0 to
        2^bits − 1, becomes 0…255, never an image's own extremes: equal values stay equal between
        images. By default an image that does not use the uppermost bit is refused.

    Returns
    -------
    image : ndarray of uint8, (H, W, 3)
    """
    return decode(path, partial(to_rgb, used=bits))


def load_mask(path: Path) -> np.ndarray:
    """Load a mask: a picture of two values, 0 and one above 127 of 255, or 0 and 1.

    Values between the two may only be the seam of an outline, or the noise of JPEG along it:
    :func:`segxai.images.seams.third_value`. Content that the threshold would lose is refused:
    further numbers, colours, a shape in the transparency. 16-bit masks are 0 and 65535, 0 and 255
    or 0 and 1.

    Returns
    -------
    mask : ndarray of bool, (H, W)
    """
    return decode(path, to_mask)


def find_mask(path: Path) -> np.ndarray | None:
    """Load the mask in a file; None if it holds a picture instead, or one value only."""

    def mask_or_none(image: Image.Image, bits: int | None) -> np.ndarray | None:
        try:
            mask = to_mask(image, bits)
        except Unsuitable:
            return None
        return mask if mask.any() and not mask.all() else None

    return decode(path, mask_or_none)


def load_instances(path: Path) -> np.ndarray:
    """Load a mask of single objects: the number of each, 0 for background, as stored.

    Returns
    -------
    ids : ndarray of int, (H, W)
    """
    return decode(path, to_ids)


def same_frame(mask: np.ndarray, shape: tuple[int, int]) -> bool:
    """Whether a mask has the size of its image, or a whole multiple of it.

    The multiple covers images that were made smaller: both have the same frame, and the mask is
    resized from its own size.
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
    if image.dtype == np.uint8 and image.shape[2] == 3:  # in one call: the same pixels, faster
        picture = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        return np.asarray(picture)
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

    This rule is neutral between both sides of the outline; the nearest pixel would give a ragged
    outline where the mask shrinks.

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
        May be memory-mapped: one image is read at a time.
    rows : ndarray of int, (n,)

    Returns
    -------
    mean, std : list of float, (C,)
        Whole numbers are in units of their full range, 0…1; fractions as stored.
    """
    moments = _fraction_moments if images.dtype.kind == "f" else _integer_moments
    mean, std = moments(images, rows)
    if (std == 0).any():
        raise InputError("a colour channel is constant over all training images; check the images.")
    return mean.tolist(), std.tolist()


def _integer_moments(images: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count each value: the result is exact for any order of the images."""
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
    """Read the images twice: mean square minus squared mean would lose digits."""
    mean = sum(images[row].mean(axis=(0, 1), dtype=np.float64) for row in rows) / len(rows)
    spread = sum(((images[row] - mean) ** 2).mean(axis=(0, 1)) for row in rows) / len(rows)
    return mean, np.sqrt(spread)


def decode(path: Path, convert: Callable[[Image.Image, int | None], np.ndarray]) -> np.ndarray:
    """Read an image file upright, converted by `convert` with its declared bits.

    These are None for 16-bit values, since the format does not say how many are in use.
    `convert` may raise :class:`Unsuitable`, or `ValueError` for a damaged file.
    """
    try:
        # Given a path, Pillow would map a TIFF into memory, and garble a rotated one.
        with path.open("rb") as content:
            if dicom.is_dicom(content):
                grey = dicom.read_grey(path)
                return convert(Image.fromarray(grey), 8 * grey.itemsize)
            file = Image.open(content, formats=FORMATS)
            # The other pictures of an MPO are previews of the first.
            if getattr(file, "is_animated", False) and file.format != "MPO":
                raise ValueError("it holds several frames instead of one image")
            depth = DEPTH.search(str(file.tile[:1]))
            ImageOps.exif_transpose(file, in_place=True)
            return convert(file, {None: 8, "12": 12, "16": None}[depth and depth[1]])
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; restore it from the original.") from None
    except UnidentifiedImageError:
        kind = "is not a readable image" if path.stat().st_size else "is empty (0 bytes)"
        raise InputError(f"{path}: {kind}; replace it by an intact copy.") from None
    except Unsuitable as error:
        raise InputError(f"{path}: {error}.") from None
    # On a hostile file, decoders raise almost any exception.
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read ({reason(error)}); replace it by an intact copy."
        ) from None


def to_rgb(image: Image.Image, bits: int | None, used: int | None) -> np.ndarray:
    """Colours as 8-bit RGB (H, W, 3); `bits` and `used` are those of file and data set."""
    if not is_deep(image):
        pixels = np.asarray(as_rgb(image))
        if bits is None and pixels.max() <= 127:
            raise Unsuitable(
                "has colours of 16 bits; only the upper 8 are read, and these hold at "
                f"most {pixels.max()}; save it with 8 bits a colour"
            )
        return pixels
    grey = deep_grey(image)
    brightest, bits = int(grey.max()), bits or used
    if bits is None and 0 < brightest < 2**15:
        raise Unsuitable(
            f"its brightest value is {brightest} of 65535; set `bits` of the data set to those "
            f"that its 16-bit images use, such as {max(8, brightest.bit_length())}, or to 16 if "
            "they are dark"
        )
    white = 2 ** (bits or 16) - 1
    if brightest > white:
        raise Unsuitable(f"its brightest value is {brightest}; raise `bits` of the data set")
    return np.repeat(np.round(grey / (white / 255)).astype(np.uint8)[..., None], 3, axis=2)


def to_mask(image: Image.Image, bits: int | None) -> np.ndarray:
    """Foreground (H, W): see :func:`load_mask`."""
    flat, ripple = compression_noise(image)
    grey = deep_grey(image) if is_deep(image) else to_shades(image, bits, ripple)
    levels, brightest = to_bytes(grey), grey.max()
    if brightest <= 1 and ripple is None:
        mask = grey > 0
    elif levels.max() <= flat:
        mask = np.zeros(grey.shape, bool)
    elif levels.max() <= MASK_THRESHOLD:
        raise no_mask(f"its brightest value is {brightest}")
    elif place := third_value(levels, flat, ripple):
        raise no_mask(
            f"it holds {np.unique(grey).size} values, such as {grey[place]} at x {place[1]}, "
            f"y {place[0]}, that are not the seam of an outline"
        )
    else:
        mask = levels > MASK_THRESHOLD
    if image.has_transparency_data:
        opaque = opacity(image) > MASK_THRESHOLD
        if opaque.any() and not opaque.all() and (opaque != mask).any():
            raise no_mask("its shape is in its transparency")
    return mask


def to_ids(image: Image.Image, bits: int | None) -> np.ndarray:
    """Numbers of objects (H, W), as stored."""
    ids = np.asarray(image)
    lossy = image.format is None or compression_noise(image)[1] is not None
    if lossy or ids.ndim != 2 or ids.dtype.kind not in "biu" or ids.min() < 0:
        raise Unsuitable(
            "holds no instance ids (whole numbers from 0, in one channel, kept without loss); "
            "replace it by the original"
        )
    return ids


def no_mask(problem: str) -> Unsuitable:
    """Reason why a picture is not a mask."""
    return Unsuitable(
        f"is not a mask of two values ({problem}); save its foreground as white and the rest as "
        "black, without loss"
    )


def compression_noise(image: Image.Image) -> tuple[int, int | None]:
    """Errors of a lossy file's values, of 255: in a flat area, and along an outline.

    JPEG's first quantisation determines flat black and white; along an outline, noise above 1.5
    mean steps was never observed. The errors are 0 and None in a lossless file.
    """
    if steps := getattr(image, "quantization", {}).get(0):
        extremes = np.array([1024, 1016])  # black and white: eight times from the middle, 128
        lost = extremes - np.floor(extremes / steps[0] + 0.5) * steps[0]
        flat = int(np.floor(lost.clip(0).max() / 8 + 0.5))
        return flat, min(round(2 * np.mean(steps)), MOST_NOISE)
    # Pillow does not give the quantisation of a TIFF.
    return (1, NOISE) if image.info.get("compression") == "jpeg" else (0, None)


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB of 8 bits; copy only if necessary."""
    return image if image.mode == "RGB" else image.convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether an image is 16-bit greyscale; other depths of more than 8 bits are refused."""
    if image.mode in ("I", "F"):
        raise ValueError("signed or 32-bit pixels have no known range: save it with 8 or 16 bits")
    return image.mode.startswith("I;16")


def deep_grey(image: Image.Image) -> np.ndarray:
    """Values of 16 bits (H, W), low is dark; Pillow ignores a TIFF that declares the opposite."""
    grey = np.asarray(image).astype(np.uint16)
    white_is_zero = getattr(image, "tag_v2", {}).get(ExifTags.Base.PhotometricInterpretation) == 0
    return grey ^ 0xFFFF if white_is_zero else grey


def to_shades(image: Image.Image, bits: int | None, ripple: int | None) -> np.ndarray:
    """Greys of 8 bits (H, W), of an image without colours apart from JPEG noise."""
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L"))
    colours = as_rgb(image)
    red, green, blue = colours.split()
    if any(ImageChops.difference(green, other).getbbox() for other in (red, blue)):
        if ripple is None or np.ptp(np.asarray(colours), axis=2).max() > ripple:
            raise no_mask("it has colours")
        return np.asarray(colours.convert("L"))
    if bits is None:
        raise no_mask("it has colours of 16 bits")
    return np.asarray(red)


def to_bytes(grey: np.ndarray) -> np.ndarray:
    """Reduce greys of more than 8 bits to 8; only the extremes become 0 and 255.

    A 16-bit picture may hold numbers below 256: these stay unchanged.
    """
    if grey.max() <= 255:
        return grey.astype(np.uint8, copy=False)
    scaled = np.round(grey / 257)
    extreme = (grey == 0) | (grey == 65535)
    return np.where(extreme, scaled, scaled.clip(1, 254)).astype(np.uint8)


def opacity(image: Image.Image) -> np.ndarray:
    """Opacity of each pixel (H, W), 0…255."""
    if is_deep(image):
        return np.where(np.asarray(image) == image.info["transparency"], 0, 255)
    return np.asarray(image.convert("RGBA").getchannel("A"))
