"""Pixels: from image files to arrays at the analysis size, and their channel statistics."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from segxai.data.records import Finding, Record
from segxai.runtime import InputError

JPEG = (".jpg", ".jpeg")
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

    A mask without any value above 1 holds 0 and 1: it looks black, and 1 is foreground. In a JPEG 1
    is noise.

    Returns
    -------
    mask : ndarray of bool, (H, W)

    Raises
    ------
    InputError
        As :func:`load_image`.
    """
    grey = decode(path, "L")
    small = grey.max() <= 1 and path.suffix.lower() not in JPEG
    return grey > (0 if small else MASK_THRESHOLD)


def load_instances(path: Path) -> np.ndarray:
    """Load a mask of single objects: the number of each, 0 for background, as stored.

    Returns
    -------
    ids : ndarray of int, (H, W)

    Raises
    ------
    InputError
        As :func:`load_image`, or if it holds colours, fractions or negative numbers.
    """
    ids = decode(path, None)
    if ids.ndim != 2 or ids.dtype.kind not in "biu" or ids.min() < 0:
        raise InputError(
            f"{path}: holds no instance ids (whole numbers from 0, in one channel); replace it by "
            "the original."
        )
    return ids


def load_pair(
    record: Record, size: int, classes: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Load an image and its mask at the analysis size.

    Parameters
    ----------
    record : Record
    size : int
        Side in pixels.
    classes : sequence of str, (C,)
        Order of the masks of a record with findings.

    Returns
    -------
    image : ndarray of uint8, (size, size, 3)
    mask : ndarray of uint8, (size, size), or (C, size, size) for a record with findings
        0 or 1.
    shape : tuple of int
        Height and width of the original, in pixels.

    Raises
    ------
    InputError
        If either cannot be loaded, their sizes differ, or an outline leaves the image.
    """
    image = load_image(record.image)
    shape = image.shape[:2]
    if record.instances is not None:
        ids = load_instances(record.instances)
        mask = resize_mask(matched(ids > 0, record.instances, shape), size)
    elif record.findings is None:
        mask = resize_mask(load_matching_mask(record.mask, shape), size)
    else:
        mask = np.zeros((len(classes), size, size), np.uint8)
        for index, name in enumerate(classes):
            of_class = [each for each in record.findings if each.label == name]
            if of_class:
                drawn = np.logical_or.reduce([draw(each, record, shape) for each in of_class])
                mask[index] = resize_mask(drawn, size)
    return resize_image(image, size), mask, shape


def load_matching_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Load the mask of an image of `shape`, which it must match."""
    return matched(load_mask(path), path, shape)


def matched(mask: np.ndarray, path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Give a mask of an image of `shape`: of the same size, or of a whole multiple of it.

    The multiple allows for images that were made smaller: both have the same frame, and the mask
    is resized from the size that it has. InputError names the `path` of any other mask.
    """
    factor = mask.shape[0] // shape[0]
    if mask.shape != (factor * shape[0], factor * shape[1]):
        raise InputError(
            f"{path}: is {mask.shape[1]}×{mask.shape[0]} pixels but its image "
            f"{shape[1]}×{shape[0]}; replace either by its original."
        )
    return mask


def draw(finding: Finding, record: Record, shape: tuple[int, int]) -> np.ndarray:
    """Mask (H, W) of one finding: its file, or its polygon filled, outline included."""
    if isinstance(finding.outline, Path):
        return load_matching_mask(finding.outline, shape)
    height, width = shape
    for x, y in finding.outline:
        if not (0 <= x < width and 0 <= y < height):
            raise InputError(
                f"{record.mask}: the outline of {finding.label} in {record.image.name} reaches "
                f"x {x:g}, y {y:g} outside its {width}×{height} pixels; correct or remove it."
            )
    mask = Image.new("1", (width, height))
    ImageDraw.Draw(mask).polygon(finding.outline, fill=1)
    return np.asarray(mask)


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


def decode(path: Path, mode: str | None) -> np.ndarray:
    """Read an image file upright in Pillow's 8-bit `mode` ("RGB", "L"); None: values as stored."""
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            return np.asarray(reduce_depth(image).convert(mode) if mode else image)
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
