"""An image of a data set and its masks, loaded together at the analysis size."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
from PIL import Image, ImageDraw

from segxai.datasets.record import RGB, Finding, Record, image_files
from segxai.images.load import (
    find_mask,
    load_instances,
    load_mask,
    resize_image,
    resize_mask,
    same_frame,
)
from segxai.job.log import InputError


class Pair(NamedTuple):
    """An image and its masks at the analysis size.

    Attributes
    ----------
    image : ndarray of uint8, uint16 or float32, (size, size, C)
    masks : dict of int to ndarray of uint8, (size, size)
        0 or 1, by the index of the class, or 0 for a record without findings; None where the
        outline is unknown.
    shape : tuple of int
        Height and width of the original, in pixels.
    resized : bool
        Whether the size of a mask differed from that of the image.
    """

    image: np.ndarray
    masks: dict[int, np.ndarray | None]
    shape: tuple[int, int]
    resized: bool

    @property
    def mask_pixels(self) -> int | None:
        """Pixels of all masks together; None where an outline is unknown."""
        masks = list(self.masks.values())
        return None if any(mask is None for mask in masks) else int(np.any(masks, axis=0).sum())


def load_pair(
    record: Record,
    size: int,
    classes: Sequence[str] = (),
    channels: Sequence[str] = RGB,
    mask_mismatch: str = "drop",
) -> Pair:
    """Load an image and its masks at the analysis size.

    Parameters
    ----------
    classes : sequence of str
        Order of the masks of a record with findings.
    channels : sequence of str, (C,)
        Names of the image's channels.
    mask_mismatch : {"drop", "resize"}
        What to do with a mask whose size differs from that of its image: refuse it, or stretch it
        over the image (also where their proportions differ).
    """
    image = record.load(channels)
    if image.shape[2] != len(channels):
        raise InputError(
            f"{record.image}: has {image.shape[2]} channels but `channels` of the data set names "
            f"{', '.join(channels)}; correct them."
        )
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        raise InputError(
            f"{record.image}: holds NaN or infinite values; replace it by the original."
        )
    shape, resized = image.shape[:2], False
    if record.findings is not None:
        masks = {
            index: join_findings(record, name, size, shape)
            for index, name in enumerate(classes)
            if name in record.labels
        }
    elif record.mask is None:
        masks = {0: None}
    else:
        mask, resized = join_masks(record, size, shape, mask_mismatch)
        masks = {0: mask}
    return Pair(resize_image(image, size), masks, shape, resized)


def join_findings(
    record: Record, label: str, size: int, shape: tuple[int, int]
) -> np.ndarray | None:
    """Mask (size, size) of all findings of a class; None where the outline of one is unknown."""
    findings = [finding for finding in record.findings if finding.label == label]
    if any(finding.outline is None for finding in findings):
        return None
    drawn = [draw(finding, record, shape) for finding in findings]
    return shrink(np.logical_or.reduce(drawn), size, record.image)


def join_masks(
    record: Record, size: int, shape: tuple[int, int], mask_mismatch: str
) -> tuple[np.ndarray, bool]:
    """Mask (size, size) of all mask files, and whether one of them was of another size."""
    masks = masks_of(record, shape)
    misfits = {path: mask for path, mask in masks.items() if not same_frame(mask, shape)}
    if misfits and mask_mismatch == "drop":
        refuse_frame(*misfits.popitem(), shape)
    joined = np.zeros((size, size), np.uint8)
    for path, mask in masks.items():
        joined |= shrink(mask, size, path)
    return joined, bool(misfits)


def shrink(mask: np.ndarray, size: int, path: Path) -> np.ndarray:
    """Resize a mask; refuse one whose foreground would vanish."""
    small = resize_mask(mask, size)
    if mask.any() and not small.any():
        raise InputError(
            f"{path}: its mask of {mask.sum()} pixels is empty at `analysis_size: {size}`; "
            "raise it."
        )
    return small


def masks_of(record: Record, shape: tuple[int, int]) -> dict[Path, np.ndarray]:
    """Load the masks (H, W) of a record, each from its own file or from a folder with others.

    In a folder, masks are recognised by their pixels alone, because names and tables are
    unreliable: masks have two values, 0 and 255. If some of these files have the `shape` of the
    image, only these are the masks.
    """
    if record.instances is not None:
        return {record.instances: load_instances(record.instances) > 0}
    paths = record.mask_paths
    by_path = {path: masks_in(path, shape) for path in paths}
    masks = {file: mask for files in by_path.values() for file, mask in files.items()}
    lesions = record.lesions or len(paths)
    if len(masks) != lesions:
        odd = next((path for path, files in by_path.items() if len(files) != 1), paths[0])
        raise InputError(
            f"{odd}: the image has {len(masks)} masks (files of two values) for {lesions} "
            f"lesions, and this folder {len(by_path[odd])} of them; replace it by the original."
        )
    return masks


def masks_in(path: Path, shape: tuple[int, int]) -> dict[Path, np.ndarray]:
    """Masks among the files of a folder, see :func:`masks_of`; of a file, its own mask."""
    if not path.is_dir():
        return {path: load_mask(path)}
    readings = {file: find_mask(file) for file in image_files(path)}
    masks = {file: mask for file, mask in readings.items() if mask is not None}
    return {file: mask for file, mask in masks.items() if same_frame(mask, shape)} or masks


def refuse_frame(path: Path, mask: np.ndarray, shape: tuple[int, int]) -> NoReturn:
    """Sentence with the sizes of a mask and of its image."""
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
