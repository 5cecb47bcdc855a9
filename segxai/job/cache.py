"""Arrays that grow image by image and survive a kill: what is finished is never computed again."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.images.arrays import npy_rows, rows_on_disk
from segxai.job.files import atomic_path
from segxai.job.log import SHOWN, log


class ImageCache:
    """Rows of an array and facts about them, handed over one image after the other.

    Attributes
    ----------
    done : int
        Images that are finished: the first ones of the list.
    facts : list of list
        Facts about all rows so far.
    """

    def __init__(
        self, done: Sequence[dict], append_row: Callable, append_entry: Callable[[dict], None]
    ):
        self.done = len(done)
        self.facts = [fact for entry in done for fact in entry["facts"]]
        self._append_row, self._append_entry = append_row, append_entry

    def append(self, rows: Iterable[np.ndarray], facts: Iterable[Sequence] = ()) -> None:
        """Add the rows of the next image, any number of them, and the facts about them."""
        rows, facts = list(rows), [list(fact) for fact in facts]
        for row in rows:
            self._append_row(row)
        # Only now, when the rows are in their file.
        self._append_entry({"rows": len(rows), "facts": facts})
        self.done += 1
        self.facts += facts


@contextlib.contextmanager
def image_cache(
    array: str | Path,
    n_images: int,
    key: str,
    row_shape: tuple[int, ...],
    dtype: type = np.uint8,
    table: str | Path | None = None,
    columns: Sequence[str] = (),
) -> Iterator[ImageCache]:
    """Write an array and a table of facts image by image; go on where a killed run stopped.

    Both appear under their names only when the block succeeds. Until then the rows lie in
    ``.<name>.partial.npy`` beside the array, and in ``.<name>.partial.json`` one line per finished
    image. After a failure or a kill both stay, and the next run with the same `key` takes them
    over. Two runs must not write one array at the same time; Snakemake's lock sees to that.

    Parameters
    ----------
    array : path
        ``.npy`` file of all rows.
    n_images : int
        How many images will be handed over.
    key : str
        All that the rows depend on, and the order of the images (:func:`job_key`). With another
        key the work starts afresh.
    row_shape, dtype
        Of each row.
    table : path, optional
        CSV file of the facts.
    columns : sequence of str
        Names of the facts, which are numbers and text.

    Yields
    ------
    cache : ImageCache
    """
    array = Path(array)
    array.parent.mkdir(parents=True, exist_ok=True)
    partial = array.with_name(f".{array.stem}.partial.npy")
    journal = partial.with_suffix(".json")
    title = hashlib.sha256(key.encode()).hexdigest()
    done = finished_images(journal, title, rows_on_disk(partial, row_shape, dtype))
    if done:
        log.info("going on after %d of %d images", len(done), n_images, extra=SHOWN)
    # Replaced in one step: a kill while going on must not lose what is finished.
    with atomic_path(journal) as path:
        path.write_text("".join(json.dumps(entry) + "\n" for entry in (title, *done)))
    with journal.open("a", encoding="utf-8") as lines:

        def append_entry(entry: dict) -> None:
            lines.write(json.dumps(entry) + "\n")
            lines.flush()

        with npy_rows(partial, row_shape, dtype, keep=sum(e["rows"] for e in done)) as append_row:
            cache = ImageCache(done, append_row, append_entry)
            yield cache
    if table is not None:
        with atomic_path(table) as path:
            facts = pd.DataFrame(cache.facts, columns=list(columns))
            facts.to_csv(path, index=False, float_format="%.6g")
    partial.replace(array)
    journal.unlink()


def finished_images(journal: Path, title: str, n_rows: int) -> list[dict]:
    """List the images of a journal headed `title` whose rows are all among the first `n_rows`."""
    if not journal.is_file():
        return []
    # What follows the last line break was cut off by the kill.
    first, *lines = journal.read_text(encoding="utf-8").split("\n")[:-1] or [""]
    done = []
    # After a loss of power, a line may be anything.
    with contextlib.suppress(LookupError, TypeError, ValueError):
        for line in lines if first == json.dumps(title) else ():
            entry = json.loads(line)
            list(entry["facts"])
            n_rows -= entry["rows"]
            if n_rows < 0:
                break
            done.append(entry)
    return done


def job_key(snakemake) -> str:
    """Tell one job from another: its params, and its input files by name, size and date."""
    stats = [(file, Path(file).stat()) for file in snakemake.input]
    files = [(file, stat.st_size, stat.st_mtime_ns) for file, stat in stats]
    return json.dumps([dict(snakemake.params.items()), files], default=str)
