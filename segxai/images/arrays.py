"""Arrays on disk that may be larger than memory."""

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from segxai.job.log import InputError, reason


def read_array(path: str | Path) -> np.ndarray:
    """Open a ``.npy`` file of this study, memory-mapped.

    Raises
    ------
    InputError
        If it is missing, no array of numbers, cut short, or holds NaN or infinite values.
    """
    try:
        array = np.lib.format.open_memmap(path, mode="r")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"its values are {array.dtype} and no numbers")
    # A hostile header is answered with almost any exception.
    except Exception as error:
        raise InputError(
            f"{path}: not a readable array ({reason(error)}); delete it and run again to make it "
            "anew."
        ) from error
    if array.dtype.kind == "f" and not all(np.isfinite(row).all() for row in array):
        raise InputError(f"{path}: holds NaN or infinite values; delete it and run again.")
    return array


class LazyRows:
    """Rows of an array that is never in memory as a whole: each is read when it is asked for.

    Parameters
    ----------
    shape : tuple of int
        (N, …) of the whole.
    read : callable
        Takes B indices in 0…N−1, an array of shape (B,), and returns their rows (B, …).
    """

    def __init__(self, shape: tuple[int, ...], read: Callable[[np.ndarray], np.ndarray]):
        self.shape = shape
        self.read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        """Give the row at an index, or the rows (B, …) at an array of indices."""
        if np.ndim(index):
            return self.read(np.asarray(index))
        return self.read(np.array([range(len(self))[index]]))[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.__getitem__, range(len(self)))


@contextlib.contextmanager
def npy_rows(
    path: Path, row_shape: tuple[int, ...], dtype: type = np.uint8, keep: int = 0
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a ``.npy`` file row by row; how many rows is known only at the end.

    Memory stays flat, whereas the pages of a memory-mapped output count as the process's own; and
    a full disk is an error here, where a memory map would kill the process.

    Parameters
    ----------
    path : Path
    row_shape : tuple of int
    dtype : type
    keep : int
        Rows of an unfinished file at `path` that stay; it is made anew for 0.

    Yields
    ------
    append : callable
        Takes one row: ndarray of `row_shape` and `dtype`. `ValueError` for any other. The row
        outlives a kill of this process as soon as the call returns.
    """
    n_rows = keep
    with Path(path).open("r+b" if keep else "wb") as file:

        def append(row: np.ndarray) -> None:
            nonlocal n_rows
            if row.shape != row_shape or row.dtype != dtype:
                raise ValueError(f"row is {row.dtype}{row.shape}, not {np.dtype(dtype)}{row_shape}")
            file.write(row.tobytes())
            file.flush()
            n_rows += 1

        header = npy_header(n_rows, row_shape, dtype)
        file.truncate(len(header) + n_rows * row_bytes(row_shape, dtype))
        file.write(header)
        file.seek(0, os.SEEK_END)
        yield append
        file.seek(0)
        file.write(npy_header(n_rows, row_shape, dtype))


def rows_on_disk(path: Path, row_shape: tuple[int, ...], dtype: type) -> int:
    """Count the whole rows of a file that :func:`npy_rows` did not finish; 0 without a file."""
    if not path.is_file():
        return 0
    data = path.stat().st_size - len(npy_header(0, row_shape, dtype))
    return max(0, data // row_bytes(row_shape, dtype))


def npy_header(n_rows: int, row_shape: tuple[int, ...], dtype: type) -> bytes:
    """Make the head of a ``.npy`` file; NumPy pads it so that `n_rows` may grow in place."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": descr, "fortran_order": False, "shape": (n_rows, *row_shape)}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def row_bytes(row_shape: tuple[int, ...], dtype: type) -> int:
    """Bytes of one row."""
    return math.prod(row_shape) * np.dtype(dtype).itemsize
