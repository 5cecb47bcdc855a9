"""Arrays on disk that may be larger than memory."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np


@contextlib.contextmanager
def npy_rows(path: Path, row_shape: tuple[int, ...]) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a ``.npy`` file row by row; how many rows is known only at the end.

    Memory stays flat, whereas the pages of a memory-mapped output count as the process's own.

    Parameters
    ----------
    path : Path
    row_shape : tuple of int

    Yields
    ------
    append : callable
        Takes one row: ndarray of uint8, `row_shape`. `ValueError` for any other.
    """
    n_rows = 0
    with Path(path).open("wb") as file:

        def write_header() -> None:
            # NumPy pads it so that the length of the first axis may grow in place.
            shape = (n_rows, *row_shape)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)

        def append(row: np.ndarray) -> None:
            nonlocal n_rows
            if row.shape != row_shape or row.dtype != np.uint8:
                raise ValueError(f"row is {row.dtype}{row.shape}, not uint8{row_shape}")
            file.write(row.tobytes())
            n_rows += 1

        write_header()
        yield append
        file.seek(0)
        write_header()
