"""Masks on disk: the non-empty ones, with the image and class of each."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.images.arrays import npy_rows, read_array
from segxai.job.files import REMAKE, atomic_path, read_rows, write_table
from segxai.job.log import InputError

UNKNOWN = -1  # place of a mask with an unknown outline
COLUMNS = ["row", "class", "place"]


@dataclass(frozen=True)
class Masks:
    """The true masks of a data set's images; each is read from disk on access.

    Attributes
    ----------
    shape : tuple of int
        (N, H, W) where an image has one mask, (N, C, H, W) where it has one for each class.
    pixels : ndarray of uint8, (M, H, W)
        The masks that are not empty, 0 or 1; may be memory-mapped.
    places : mapping of (row, class) to int
        Where in `pixels` the mask of an image and class lies; `UNKNOWN` where the image shows the
        class but its outline is unknown. An absent pair has an empty mask.
    """

    shape: tuple[int, ...]
    pixels: np.ndarray
    places: Mapping[tuple[int, int], int]

    @property
    def per_class(self) -> bool:
        """Whether an image has one mask for each class."""
        return len(self.shape) == 4

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, row: int) -> np.ndarray:
        """Return all masks of an image: uint8 (H, W) or (C, H, W); unknown outlines are zeros."""
        row = range(len(self))[row]
        if not self.per_class:
            return self._mask(row, 0)
        return np.stack([self._mask(row, label) for label in range(self.shape[1])])

    def of(self, row: int, label: int) -> np.ndarray | None:
        """Return the mask (H, W) of a class, or the image's only mask; None where it is unknown."""
        return self._mask(row, self._class(label)) if self.known(row, label) else None

    def union(self, row: int) -> np.ndarray:
        """Return the mask (H, W) of all classes together; unknown outlines are left out."""
        masks = self[row]
        return masks.max(axis=0) if self.per_class else masks

    def known(self, row: int, label: int) -> bool:
        """Whether the outline of a class in an image is known: also where it is empty."""
        return self.places.get((row, self._class(label))) != UNKNOWN

    def _class(self, label: int) -> int:
        return label if self.per_class else 0

    def _mask(self, row: int, label: int) -> np.ndarray:
        place = self.places.get((row, label), UNKNOWN)
        if place == UNKNOWN:
            return np.zeros(self.shape[-2:], np.uint8)
        return np.array(self.pixels[place])


def read_masks(npy: str | Path, csv: str | Path, samples: pd.DataFrame) -> Masks:
    """Open the masks of a data set that :func:`mask_rows` wrote.

    Parameters
    ----------
    npy, csv
        The masks that are not empty, (M, H, W) of uint8, and ``row, class, place`` of each.
    samples : DataFrame, (N,)
        ``samples.csv``. Images have a mask for each class where it has a column for each
        (``label_<class>``), else one mask, of class 0.
    """
    pixels, table = read_array(npy), read_rows(csv)
    n_classes = sum(name.startswith("label_") for name in samples)
    if not _fits(pixels, table, len(samples), max(n_classes, 1)):
        raise InputError(f"{csv}: does not describe the masks in {npy}; {REMAKE}.")
    shape = (len(samples), *([n_classes] if n_classes else []), *pixels.shape[1:])
    rows, classes, places = (table[name].astype(int).tolist() for name in COLUMNS)
    return Masks(shape, pixels, dict(zip(zip(rows, classes, strict=True), places, strict=True)))


def _fits(pixels: np.ndarray, table: pd.DataFrame, n_images: int, n_classes: int) -> bool:
    """Whether a table lists each mask once, in order, with rows of images below N."""
    if pixels.ndim != 3 or pixels.dtype != np.uint8 or list(table) != COLUMNS:
        return False
    numbers = table.apply(pd.to_numeric, errors="coerce")
    stored = numbers.place[numbers.place != UNKNOWN]
    return (
        numbers.row.isin(range(n_images)).all()
        and numbers["class"].isin(range(n_classes)).all()
        and np.array_equal(stored, np.arange(len(pixels)))
    )


@contextlib.contextmanager
def mask_rows(
    npy: str | Path, csv: str | Path, size: int
) -> Iterator[Callable[[int, Mapping[int, np.ndarray | None]], None]]:
    """Write masks image by image, as :func:`read_masks` reads them; memory stays flat.

    Both files appear only when the block succeeds. Yields a callable that takes the row of an image
    and its masks by class: uint8 (size, size) of 0 and 1, or None where the outline is unknown.
    Empty masks are not stored.
    """
    entries: list[tuple[int, int, int]] = []
    with atomic_path(npy) as temporary, npy_rows(temporary, (size, size)) as append_mask:
        n_stored = 0

        def append(row: int, masks: Mapping[int, np.ndarray | None]) -> None:
            nonlocal n_stored
            for label, mask in masks.items():
                if mask is None:
                    entries.append((row, label, UNKNOWN))
                elif mask.any():
                    append_mask(mask)
                    entries.append((row, label, n_stored))
                    n_stored += 1

        yield append
        write_table(csv, pd.DataFrame(entries, columns=COLUMNS, dtype=int))
