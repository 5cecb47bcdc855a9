"""Pixels: from image files to arrays at the analysis size, and their channel statistics."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from segxai.data import dicom
from segxai.data.records import Finding, Record, image_files
from segxai.runtime import InputError, reason

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
    :func:`segxai.data.dicom.read_grey`.

    Returns
    -------
    image : ndarray of uint8, (H, W, 3)

    Raises
    ------
    InputError
        If the file is missing, empty, truncated, of more than 179 megapixels or several frames, or
        no image in one of `FORMATS` or DICOM, whatever its suffix.
    """
    return decode(path, to_rgb)


def load_mask(path: Path) -> np.ndarray:
    """Load a mask: foreground where its grey value exceeds 127 of 255.

    A mask without any value above 1, of 8 bits or 16, holds 0 and 1: it looks black, and 1 is
    foreground. In a JPEG 1 is noise.

    Returns
    -------
    mask : ndarray of bool, (H, W)

    Raises
    ------
    InputError
        As :func:`load_image`, or if it would be empty although it shows something: values between 1
        and 128, or a shape that is in its transparency alone.
    """
    return decode(path, partial(to_mask, lossy=path.suffix.lower() in JPEG))


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
    ids = decode(path, np.asarray)
    if ids.ndim != 2 or ids.dtype.kind not in "biu" or ids.min() < 0:
        raise InputError(
            f"{path}: holds no instance ids (whole numbers from 0, in one channel); replace it by "
            "the original."
        )
    return ids


class Pair(NamedTuple):
    """An image and its mask at the analysis size.

    Attributes
    ----------
    image : ndarray of uint8, (size, size, 3)
    mask : ndarray of uint8, (size, size), or (C, size, size) for a record with findings
        0 or 1.
    shape : tuple of int
        Height and width of the original, in pixels.
    resized : bool
        Whether a mask was of another size than the image.
    """

    image: np.ndarray
    mask: np.ndarray
    shape: tuple[int, int]
    resized: bool


def load_pair(
    record: Record, size: int, classes: Sequence[str] = (), mask_mismatch: str = "drop"
) -> Pair:
    """Load an image and its mask at the analysis size.

    Parameters
    ----------
    record : Record
    size : int
        Side in pixels.
    classes : sequence of str, (C,)
        Order of the masks of a record with findings.
    mask_mismatch : {"drop", "resize"}
        What to do with a mask of another size than its image: refuse it, or stretch it over the
        image (also where their proportions differ).

    Raises
    ------
    InputError
        If either cannot be loaded, their sizes differ, a mask is not to be found among the files
        of a series, or an outline leaves the image.
    """
    image = load_image(largest_image(record.image))
    shape = image.shape[:2]
    resized = False
    if record.findings is None:
        masks = masks_of(record, shape)
        if misfits := {path: mask for path, mask in masks.items() if not same_frame(mask, shape)}:
            resized = mask_mismatch == "resize"
            if not resized:
                refuse_frame(*misfits.popitem(), shape)
        mask = np.maximum.reduce([resize_mask(mask, size) for mask in masks.values()])
    else:
        mask = np.zeros((len(classes), size, size), np.uint8)
        for index, name in enumerate(classes):
            of_class = [each for each in record.findings if each.label == name]
            if of_class:
                drawn = np.logical_or.reduce([draw(each, record, shape) for each in of_class])
                mask[index] = resize_mask(drawn, size)
    return Pair(resize_image(image, size), mask, shape, resized)


def largest_image(path: Path) -> Path:
    """Choose the largest image file of a folder; a file is itself."""
    if not path.is_dir():
        return path
    files = image_files(path)
    if not files:
        raise InputError(f"{path}: holds no image file; restore it from the original.")
    return max(files, key=lambda file: file.stat().st_size)


def masks_of(record: Record, shape: tuple[int, int]) -> dict[Path, np.ndarray]:
    """Load the masks (H, W) of a record, each from its own file or from a folder with others.

    In a folder, masks are told by their pixels alone, because names and tables are unreliable:
    they have two values, 0 and 255. If some of these files have the frame of the image, given by
    its `shape`, they are the masks.

    Raises
    ------
    InputError
        If there are more or fewer masks than lesions.
    """
    if record.instances is not None:
        return {record.instances: load_instances(record.instances) > 0}
    paths = (record.mask,) if isinstance(record.mask, Path) else record.mask
    found = {path: masks_in(path, shape) for path in paths}
    masks = {file: mask for each in found.values() for file, mask in each.items()}
    lesions = record.lesions or len(paths)
    if len(masks) != lesions:
        odd = next((path for path, each in found.items() if len(each) != 1), paths[0])
        raise InputError(
            f"{odd}: the image has {len(masks)} masks (files of two values) for {lesions} "
            f"lesions, and this folder {len(found[odd])} of them; replace it by the original."
        )
    return masks


def masks_in(path: Path, shape: tuple[int, int]) -> dict[Path, np.ndarray]:
    """Masks among the files of a folder: see :func:`masks_of`. A file is a mask."""
    if not path.is_dir():
        return {path: load_mask(path)}
    greys = {file: decode(file, to_grey) for file in image_files(path)}
    masks = {file: grey > MASK_THRESHOLD for file, grey in greys.items() if is_mask(grey)}
    return {file: mask for file, mask in masks.items() if same_frame(mask, shape)} or masks


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


def refuse_frame(path: Path, mask: np.ndarray, shape: tuple[int, int]) -> NoReturn:
    """Say of which size a mask is, and of which its image."""
    raise InputError(
        f"{path}: is {mask.shape[1]}×{mask.shape[0]} pixels but its image "
        f"{shape[1]}×{shape[0]}; replace either by its original."
    )


def load_matching_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Load a mask that must have the frame of its image."""
    mask = load_mask(path)
    if not same_frame(mask, shape):
        refuse_frame(path, mask, shape)
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
        raise InputError(f"{path}: no such file; restore it or remove its counterpart.") from None
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
