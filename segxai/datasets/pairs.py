"""An image of a data set and its mask, loaded together at the analysis size."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from PIL import Image, ImageDraw

from segxai.datasets.record import Finding, Record, image_files
from segxai.images.load import (
    MASK_THRESHOLD,
    decode,
    is_mask,
    load_image,
    load_instances,
    load_mask,
    resize_image,
    resize_mask,
    same_frame,
    to_grey,
)
from segxai.job.log import InputError


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
