"""Phantom findings on disk, drawn by :mod:`segxai.datasets.phantoms.radiographs`."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from segxai.datasets.phantoms.radiographs import CLASSES, image_name, phantom_findings
from segxai.datasets.record import Finding, Record, joined_label
from segxai.job.files import atomic_path, read_table
from segxai.job.log import InputError

ABOUT = {
    "title": "Phantom findings", "cites": "", "settings": {},
    "source": {
        "images": {"type": "integer", "minimum": 1, "maximum": 1000000,
                   "description": "Number of images made"},
        "size": {"type": "integer", "minimum": 32, "maximum": 8192,
                 "description": "Side of the images made, in px"},
        "seed": {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0,
                 "description": "Seed of the images made"},
        "shortcut": {
            "type": ["object", "null"],
            "properties": {
                "class": {"enum": ["nodule", "cyst", "opacity", "fibrosis"],
                          "description": "Class that the marker predicts"},
                "share": {"type": "number", "minimum": 0, "maximum": 1,
                          "description": "Share of its images that show the marker"},
            },
            "required": ["class", "share"], "additionalProperties": False, "default": None,
            "description": "Marker planted in images of one class only; null for none",
        },
    },
}  # fmt: skip


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


def generate(
    folder: Path, images: int, size: int, seed: int = 0, shortcut: dict | None = None
) -> None:
    """Write the first phantoms in the layout of a real data set; the settings are those of `ABOUT`.

    `folder` receives ``images/<id>.png`` (grey), ``masks/<class>/<id>.png`` for each class shown
    and ``markers/<id>.png`` where there is one (0 or 255), and ``labels.csv`` with a column of 0
    and 1 per class and one for the marker.
    """
    if shortcut and shortcut["class"] not in CLASSES:
        raise InputError(
            f"`source: shortcut: class` is '{shortcut['class']}'; choose one of "
            f"{', '.join(CLASSES)}."
        )
    with (
        atomic_path(folder / "labels.csv") as labels,
        labels.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image_id", *CLASSES, "marker"])
        for index in range(images):
            image, masks, marker = phantom_findings(index, size, seed, shortcut)
            name = image_name(index)
            save(folder / "images" / f"{name}.png", image)
            for kind, mask in zip(CLASSES, masks, strict=True):
                if mask.any():
                    save(folder / "masks" / kind / f"{name}.png", mask * np.uint8(255))
            if marker.any():
                save(folder / "markers" / f"{name}.png", marker * np.uint8(255))
            table.writerow([name, *masks.any(axis=(1, 2)).astype(int), int(marker.any())])


def save(path: Path, pixels: np.ndarray) -> None:
    """Write a grey image."""
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, compress_level=1)
