"""Arrays on disk that may be larger than memory."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from segxai.runtime import InputError


def read_array(path: str | Path) -> np.ndarray:
    """Open a ``.npy`` file of this study, memory-mapped.

    Raises
    ------
    InputError
        If it is missing, no array, cut short, or holds NaN or infinite values.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(
            f"{path}: not a readable array ({error}); delete it and run again to make it anew."
        ) from error
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(f"{path}: holds NaN or infinite values; delete it and run again.")
    return array


@contextlib.contextmanager
def npy_rows(
    path: Path, row_shape: tuple[int, ...], dtype: type = np.uint8
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a ``.npy`` file row by row; how many rows is known only at the end.

    Memory stays flat, whereas the pages of a memory-mapped output count as the process's own; and
    a full disk is an error here, where a memory map would kill the process.

    Parameters
    ----------
    path : Path
    row_shape : tuple of int
    dtype : type

    Yields
    ------
    append : callable
        Takes one row: ndarray of `row_shape` and `dtype`. `ValueError` for any other.
    """
    n_rows, descr = 0, np.lib.format.dtype_to_descr(np.dtype(dtype))
    with Path(path).open("wb") as file:

        def write_header() -> None:
            # NumPy pads it so that the length of the first axis may grow in place.
            shape = (n_rows, *row_shape)
            header = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)

        def append(row: np.ndarray) -> None:
            nonlocal n_rows
            if row.shape != row_shape or row.dtype != dtype:
                raise ValueError(f"row is {row.dtype}{row.shape}, not {np.dtype(dtype)}{row_shape}")
            file.write(row.tobytes())
            n_rows += 1

        write_header()
        yield append
        file.seek(0)
        write_header()
