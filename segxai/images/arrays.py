"""Arrays on disk, possibly larger than memory."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from segxai.job.log import InputError, reason


def read_array(path: str | Path) -> np.ndarray:
    """Open a ``.npy`` file of this study, memory-mapped; :func:`npy_rows` refuses to write NaN."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
        if array.dtype.kind not in "biuf":
            raise ValueError(f"its values are {array.dtype}, not numbers")
    # A hostile header raises almost any exception.
    except Exception as error:
        raise InputError(
            f"{path}: not a readable array ({reason(error)}); delete it and run again."
        ) from error
    return array


class LazyRows:
    """Rows of an array that is never in memory as a whole; each is read on access.

    Parameters
    ----------
    shape : tuple of int
        (N, …), of the whole array.
    read : callable
        Takes B indices in 0…N−1, an array of shape (B,), and returns their rows (B, …).
    """

    def __init__(self, shape: tuple[int, ...], read: Callable[[np.ndarray], np.ndarray]):
        self.shape = shape
        self.read = read

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | np.ndarray) -> np.ndarray:
        """Return the row at an index, or the rows (B, …) at an array of indices."""
        if np.ndim(index):
            return self.read(np.asarray(index))
        return self.read(np.array([range(len(self))[index]]))[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return map(self.__getitem__, range(len(self)))


@contextlib.contextmanager
def npy_rows(
    path: Path, row_shape: tuple[int, ...], dtype: type | None = np.uint8
) -> Iterator[Callable[[np.ndarray], None]]:
    """Write a ``.npy`` file row by row; the number of rows may be unknown until the end.

    Memory stays flat, whereas the pages of a memory-mapped output would count as memory of the
    process; and a full disk raises an error, whereas it would kill a process with a memory map.

    Yields a callable that appends one row: ndarray of `row_shape` and `dtype` (None for that of the
    first row), without NaN and infinite values; `ValueError` for any other.
    """
    n_rows = 0
    with Path(path).open("wb") as file:

        def append(row: np.ndarray) -> None:
            nonlocal n_rows, dtype
            dtype = row.dtype if dtype is None else dtype
            if row.shape != row_shape or row.dtype != dtype:
                raise ValueError(f"row is {row.dtype}{row.shape}, not {np.dtype(dtype)}{row_shape}")
            if row.dtype.kind == "f" and not np.isfinite(row).all():
                raise InputError(
                    f"{path}: row {n_rows} would hold NaN or infinite values; check the files that "
                    "it is made from."
                )
            file.write(row.tobytes())
            n_rows += 1

        file.write(npy_header(0, row_shape, dtype or np.uint8))
        yield append
        file.seek(0)
        file.write(npy_header(n_rows, row_shape, dtype or np.uint8))


def npy_header(n_rows: int, row_shape: tuple[int, ...], dtype: type) -> bytes:
    """Header of a ``.npy`` file; NumPy's padding lets `n_rows` grow in place."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    header = {"descr": descr, "fortran_order": False, "shape": (n_rows, *row_shape)}
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()
