"""Data sets by name: a new one is a reader here and a YAML in ``config/datasets``."""

from collections.abc import Callable
from pathlib import Path

from segxai.data import (
    chestx_det10,
    ham10000,
    kvasir_seg,
    nuinsseg,
    phantom_findings,
    phantom_lesions,
)
from segxai.data.findings import write_phantom_findings
from segxai.data.phantoms import write_phantom_lesions
from segxai.data.records import Record
from segxai.runtime import InputError

READERS: dict[str, Callable[..., list[Record]]] = {
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
# Readers that offer more than one ground truth, the first by default.
GROUND_TRUTHS = {"chestx_det10": ("boxes", "polygons")}


def read_records(reader: str, folder: Path, masks: str | None = None) -> list[Record]:
    """List the images of the data set that `reader` finds in `folder`, in its published order.

    Parameters
    ----------
    reader : str
        Key of `READERS`.
    folder : Path
    masks : str, optional
        Which of the reader's ground truths.

    Raises
    ------
    InputError
        If there is no such reader, ground truth or folder, or the folder is not laid out as
        expected.
    """
    require_reader(reader)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; check `path` of the data set.")
    if masks is None:
        return READERS[reader](folder)
    if masks not in GROUND_TRUTHS.get(reader, ()):
        raise InputError(
            f"reader '{reader}' has no ground truth '{masks}'; correct or remove `masks` of the "
            "data set."
        )
    return READERS[reader](folder, masks)


def generate(reader: str, folder: Path, source: dict) -> None:
    """Write the data set that `reader` reads into `folder`; `source` as in the YAML.

    Raises
    ------
    InputError
        If there is no generator for `reader`.
    """
    require_reader(reader)
    if reader not in GENERATORS:
        raise InputError(
            f"reader '{reader}' has no generator and `source` of the data set no `url` or `files`; "
            "add them, or name a folder in `path`."
        )
    GENERATORS[reader](folder, **source)


def require_reader(reader: str) -> None:
    """Refuse a reader that is not in `READERS`."""
    if reader not in READERS:
        raise InputError(f"reader '{reader}' is unknown; choose one of {', '.join(READERS)}.")
