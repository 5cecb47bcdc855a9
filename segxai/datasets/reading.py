"""Data sets by the name of their reader: listed from a folder, or generated into a folder."""

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

from segxai.datasets.record import Finding, Record
from segxai.job.log import InputError
from segxai.workflow.names import UNPRINTABLE, name_key, plain
from segxai.workflow.plugins import load, methods


def read_records(reader: str, folder: Path, options: dict | None = None) -> list[Record]:
    """List the images of a data set in `folder` by its `reader`, in the published order.

    `options` are the reader's settings, as its `ABOUT` describes them. This function does two
    things for every reader: it compares names of images and groups as people read them
    (:func:`distinct`), and names of files with the files on disk (:func:`located`).
    """
    module, settings = load_reader(reader, options or {})
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check `path` of the data set.")
    records = list(module.read(folder, **settings))
    require_text(records, reader)
    require_inside(records, folder)
    return located(distinct(records))


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
    """Import a reader by its name; return it with those `options` that are its settings."""
    readers = methods("datasets")
    if reader not in readers:
        raise InputError(f"reader '{reader}' is unknown; choose one of {', '.join(readers)}.")
    return load("datasets", options | {"method": reader})


def require_text(records: Iterable[Record], reader: str) -> None:
    """Refuse a record without a name, a label or a group, as an empty cell would give."""
    for record in records:
        for field in ("image_id", "label", "group"):
            value = getattr(record, field)
            if not isinstance(value, str) or not plain(value):
                raise InputError(
                    f"{record.image}: its {field} is {value!r} and must be text; fill in the cell "
                    f"that segxai/datasets/{reader}.py takes it from, or correct that file."
                )


def distinct(records: Iterable[Record]) -> list[Record]:
    """Refuse names of images that look the same, and unite groups whose names look the same.

    A patient called "P1" in one line and "p1 " in the next is one patient, with the name of the
    first line.
    """
    groups: dict[str, str] = {}
    known: dict[str, Record] = {}
    for record in records:
        group = groups.setdefault(name_key(record.group), plain(record.group))
        named = _changed(record, image_id=plain(record.image_id), group=group)
        key = name_key(record.image_id)
        if key in known:
            also = "another image" if known[key].image == named.image else known[key].image
            raise InputError(
                f"{named.image}: is called '{named.image_id}', and so is {also}; list each image "
                "once, and give it a name of its own."
            )
        known[key] = named
    return list(known.values())


def located(records: Iterable[Record]) -> list[Record]:
    """Replace the files of records by those on disk whose names look the same.

    If several files differ only in the case and form of their names, the exact name decides.
    """

    @cache
    def beside(folder: str) -> dict[str, str | None]:
        """Names in a folder by their key; None where several names share it."""
        names: dict[str, str | None] = {}
        for path in Path(folder).glob("*"):
            key = name_key(path.name)
            names[key] = None if key in names else path.name
        return names

    def there(path):
        if isinstance(path, tuple):
            return tuple(map(there, path))
        if isinstance(path, Finding):
            return _changed(path, outline=there(path.outline))
        if not isinstance(path, Path):
            return path
        folder, name = os.path.split(path)
        known = beside(folder).get(name_key(name)) or name
        return path if known == name else path.with_name(known)

    fields = ("image", "mask", "marker", "instances", "findings")
    return [
        _changed(record, **{field: there(getattr(record, field)) for field in fields})
        for record in records
    ]


def _changed(item, **fields):
    """Replace those fields of a record or finding that differ."""
    new = {
        name: value
        for name, value in fields.items()
        if (known := getattr(item, name)) is not value and known != value
    }
    return replace(item, **new) if new else item


def require_inside(records: Iterable[Record], folder: Path) -> None:
    """Refuse an image whose name leads out of `folder` or cannot be written as text."""
    for record in records:
        path = record.image.as_posix()
        inside = record.image.is_relative_to(folder)
        inside = inside and ".." not in record.image.relative_to(folder).parts
        if not inside or re.search(UNPRINTABLE, record.image_id + path):
            problem = "holds codes that are not text" if inside else f"leads out of {folder}"
            raise InputError(f"{path}: the name of this image {problem}; rename it.")
