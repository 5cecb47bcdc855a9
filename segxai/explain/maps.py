"""Attributions on disk: two maps per attribution, in half precision, with one scale."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from segxai.images.arrays import read_array
from segxai.job.files import REMAKE, read_rows
from segxai.job.log import InputError

COLUMNS = [
    *("target_id", "image_id", "scale", "constant", "gain", "completeness_error"),
    *("gradients", "forwards", "seconds", "peak_bytes"),
]


class StoredMap(NamedTuple):
    """One stored attribution: two maps (h, w), float32, at the size of its explainer's maps.

    `signed` is the sum over channels, `magnitude` the sum over channels of absolute values.
    """

    signed: np.ndarray
    magnitude: np.ndarray
    # Compared by identity, so that views of a map can be kept for its next use.
    __eq__, __hash__ = object.__eq__, object.__hash__


def pack(signed: np.ndarray, magnitude: np.ndarray) -> tuple[np.ndarray, float]:
    """Divide the two maps of an attribution by a common scale, for half precision.

    Parameters
    ----------
    signed, magnitude : ndarray of float, (h, w)
        Sum over channels, and sum over channels of absolute values.

    Returns
    -------
    packed : ndarray of float16, (2, h, w)
        Signed map in -1…1 and magnitude in 0…1.
    scale : float
        Largest magnitude; 0 for an attribution that is zero everywhere.
    """
    scale = float(magnitude.max())
    return (np.stack([signed, magnitude]) / (scale or 1.0)).astype(np.float16), scale


def is_constant(packed: np.ndarray) -> bool:
    """Whether a packed attribution has one magnitude everywhere: it then explains nothing."""
    return bool(np.ptp(packed[1]) == 0)


@dataclass(frozen=True)
class Maps:
    """Stored attributions; each is read on access."""

    packed: np.ndarray  # float16, (T, 2, h, w); may be memory-mapped
    table: pd.DataFrame  # COLUMNS of each

    def __len__(self) -> int:
        return len(self.packed)

    def __getitem__(self, index: int) -> StoredMap:
        """Return an attribution in its own units."""
        scale = np.float32(self.table.scale.iat[index])
        return StoredMap(*(self.packed[index].astype(np.float32) * scale))


def read_maps(npy: str | Path, csv: str | Path) -> Maps:
    """Open the attributions of a network and explainer with their table."""
    packed, table = read_array(npy), read_rows(csv)
    if packed.ndim != 4 or packed.shape[1] != 2 or len(packed) != len(table):
        raise InputError(f"{csv}: does not describe the maps in {npy}; {REMAKE}.")
    return Maps(packed, table)
