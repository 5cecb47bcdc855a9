"""Data sets by name: a new one is a reader here and a YAML in ``config/datasets``."""

import inspect
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from segxai.datasets import (
    cbis_ddsm,
    chestx_det10,
    ham10000,
    kvasir_seg,
    nuinsseg,
    phantom_findings,
    phantom_lesions,
)
from segxai.datasets.phantoms.lesions import write_phantom_lesions
from segxai.datasets.phantoms.radiographs import write_phantom_findings
from segxai.datasets.record import Record
from segxai.job.log import UNPRINTABLE, InputError

READERS: dict[str, Callable[..., list[Record]]] = {
    "cbis_ddsm": cbis_ddsm.read,
    "chestx_det10": chestx_det10.read,
    "ham10000": ham10000.read,
    "kvasir_seg": kvasir_seg.read,
    "nuinsseg": nuinsseg.read,
    "phantom_findings": phantom_findings.read,
    "phantom_lesions": phantom_lesions.read,
}
# What writes a data set that is not downloaded; its arguments are `source` in the YAML.
GENERATORS: dict[str, Callable[..., None]] = {
    "phantom_findings": write_phantom_findings,
    "phantom_lesions": write_phantom_lesions,
}
# Keys of the YAML that change what a reader lists, and their values, the first by default.
OPTIONS = {
    "cbis_ddsm": {"abnormalities": tuple(cbis_ddsm.ABNORMALITIES)},
    "chestx_det10": {"masks": ("boxes", "polygons")},
}


def read_records(
    reader: str, folder: Path, masks: str | None = None, abnormalities: str | None = None
) -> list[Record]:
    """List the images of the data set that `reader` finds in `folder`, in its published order.

    Parameters
    ----------
    reader : str
        Key of `READERS`.
    folder : Path
    masks, abnormalities : str, optional
        Which of the reader's ground truths, and which part of the data set: `OPTIONS`.

    Raises
    ------
    InputError
        If there is no such reader, option or folder, or the folder is not laid out as expected.
    """
    require_reader(reader)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check `path` of the data set.")
    options = {"masks": masks, "abnormalities": abnormalities}
    options = {key: value for key, value in options.items() if value is not None}
    for key, value in options.items():
        if value not in OPTIONS.get(reader, {}).get(key, ()):
            raise InputError(
                f"reader '{reader}' knows no `{key}: {value}`; correct or remove `{key}` of the "
                "data set."
            )
    records = READERS[reader](folder, **options)
    require_inside(records, folder)
    return records


def require_inside(records: Iterable[Record], folder: Path) -> None:
    """Refuse an image whose name leads out of `folder`, or is no text that tables can hold."""
    for record in records:
        path = record.image.as_posix()
        inside = record.image.is_relative_to(folder)
        inside = inside and ".." not in record.image.relative_to(folder).parts
        if not inside or re.search(UNPRINTABLE, record.image_id + path):
            problem = "holds codes that are no text" if inside else f"leads out of {folder}"
            raise InputError(f"{path}: the name of this image {problem}; rename it.")


def generate(reader: str, folder: Path, source: dict) -> None:
    """Write the data set that `reader` reads into `folder`; `source` as in the YAML.

    Raises
    ------
    InputError
        If there is no generator for `reader`, or `source` lacks a key of it or has another.
    """
    require_reader(reader)
    if reader not in GENERATORS:
        raise InputError(
            f"reader '{reader}' has no generator and `source` of the data set no `url` or `files`; "
            "add them, or name a folder in `path`."
        )
    try:
        inspect.signature(GENERATORS[reader]).bind(folder, **source)
    except TypeError as error:
        raise InputError(
            f"`source` of the data set does not suit the generator of reader '{reader}' ({error}); "
            "correct its keys."
        ) from None
    GENERATORS[reader](folder, **source)


def require_reader(reader: str) -> None:
    """Refuse a reader that is not in `READERS`."""
    if reader not in READERS:
        raise InputError(f"reader '{reader}' is unknown; choose one of {', '.join(READERS)}.")
