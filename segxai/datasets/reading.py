"""Data sets by the name of their reader: listed from a folder, or generated into one."""

import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from segxai.datasets.record import Record
from segxai.job.log import UNPRINTABLE, InputError
from segxai.workflow.plugins import load, methods


def read_records(reader: str, folder: Path, options: dict | None = None) -> list[Record]:
    """List the images of the data set that `reader` finds in `folder`, in its published order.

    `options` are the reader's settings, as its `ABOUT` describes them.
    """
    module, settings = load_reader(reader, options or {})
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check `path` of the data set.")
    records = module.read(folder, **settings)
    require_inside(records, folder)
    return records


def generate(reader: str, folder: Path, source: dict) -> None:
    """Write the data set that `reader` reads into `folder`; `source` as in the configuration.

    Raises
    ------
    InputError
        If `reader` has no generator.
    """
    module, _ = load_reader(reader, {})
    if not hasattr(module, "generate"):
        raise InputError(
            f"reader '{reader}' has no generator and `source` of the data set no `url` or `files`; "
            "add them, or name a folder in `path`."
        )
    module.generate(folder, **source)


def load_reader(reader: str, options: dict) -> tuple[ModuleType, dict]:
    """Import a reader by its name, and give those of the `options` that are its settings."""
    readers = methods("datasets")
    if reader not in readers:
        raise InputError(f"reader '{reader}' is unknown; choose one of {', '.join(readers)}.")
    return load("datasets", options | {"method": reader})


def require_inside(records: Iterable[Record], folder: Path) -> None:
    """Refuse an image whose name leads out of `folder` or cannot be written as text."""
    for record in records:
        path = record.image.as_posix()
        inside = record.image.is_relative_to(folder)
        inside = inside and ".." not in record.image.relative_to(folder).parts
        if not inside or re.search(UNPRINTABLE, record.image_id + path):
            problem = "holds codes that are no text" if inside else f"leads out of {folder}"
            raise InputError(f"{path}: the name of this image {problem}; rename it.")
