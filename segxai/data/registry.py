"""Data sets by name: a new one is a reader here and a YAML in ``config/datasets``."""

from collections.abc import Callable
from pathlib import Path

from segxai.data import kvasir_seg, phantom_lesions
from segxai.data.records import Record
from segxai.runtime import InputError

READERS: dict[str, Callable[[Path], list[Record]]] = {
    "kvasir_seg": kvasir_seg.read,
    "phantom_lesions": phantom_lesions.read,
}


def read_records(reader: str, folder: Path) -> list[Record]:
    """List the images of the data set that `reader` finds in `folder`, sorted by `image_id`.

    Raises
    ------
    InputError
        If there is no such reader or no such folder, or the folder is not laid out as expected.
    """
    if reader not in READERS:
        raise InputError(f"reader '{reader}' is unknown; choose one of {', '.join(READERS)}.")
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check `path` of the data set.")
    return sorted(READERS[reader](folder), key=lambda record: record.image_id)
