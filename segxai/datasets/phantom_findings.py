"""Phantom findings as they lie on disk (:mod:`segxai.datasets.phantoms.radiographs` makes them)."""

from pathlib import Path

from segxai.datasets.phantoms.radiographs import CLASSES
from segxai.datasets.record import Finding, Record, joined_label, require_unique
from segxai.job.files import read_table
from segxai.job.log import InputError

ABOUT = {
    "title": "Phantom findings",
    "cites": "",
    "settings": {},
    "source": {
        "images": {
            "type": "integer",
            "minimum": 1,
            "maximum": 1000000,
            "description": "Number of images made",
        },
        "size": {
            "type": "integer",
            "minimum": 32,
            "maximum": 8192,
            "description": "Side of the images made, in px",
        },
        "seed": {
            "type": "integer",
            "minimum": 0,
            "maximum": 4294967295,
            "default": 0,
            "description": "Seed of the images made",
        },
        "shortcut": {
            "type": ["object", "null"],
            "properties": {
                "class": {
                    "enum": ["nodule", "cyst", "opacity", "fibrosis"],
                    "description": "Class that the marker predicts",
                },
                "share": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": 1,
                    "description": "Share of its images that show the marker",
                },
            },
            "required": ["class", "share"],
            "additionalProperties": False,
            "default": None,
            "description": "Marker planted in images of one class and in no other; null for none",
        },
    },
}


def read(folder: Path) -> list[Record]:
    """List the images of ``labels.csv``, in its order.

    Beside it lie ``images/<id>.png``, ``masks/<class>/<id>.png`` and ``markers/<id>.png``.

    Raises
    ------
    InputError
        If the table is missing, damaged, lists an image twice, or holds anything but 0 and 1.
    """
    source = folder / "labels.csv"
    table = read_table(source, ["image_id", *CLASSES, "marker"])
    require_unique(table["image_id"], source)
    flags = table.drop(columns="image_id")
    if not flags.isin(["0", "1"]).all(axis=None):
        row = (~flags.isin(["0", "1"])).any(axis=1).idxmax()
        raise InputError(f"{source}: line {row + 2} holds more than 0 and 1; correct it.")
    records = []
    for row in table.to_dict("records"):
        name = f"{row['image_id']}.png"
        shown = [kind for kind in CLASSES if row[kind] == "1"]
        records.append(
            Record(
                row["image_id"],
                folder / "images" / name,
                source,
                joined_label(shown),
                row["image_id"],
                tuple(Finding(kind, folder / "masks" / kind / name) for kind in shown),
                folder / "markers" / name if row["marker"] == "1" else None,
            )
        )
    return records
