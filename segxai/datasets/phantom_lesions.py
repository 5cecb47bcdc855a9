"""Phantom lesions on disk, drawn by :mod:`segxai.datasets.phantoms.lesions`."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from segxai.datasets.phantoms.lesions import image_name, phantom_lesion
from segxai.datasets.record import Record, find_root, pair_by_name
from segxai.job.files import atomic_path, read_table
from segxai.job.log import InputError
from segxai.workflow.names import name_key

ABOUT = {
    "title": "Phantom lesions", "cites": "", "settings": {},
    "source": {
        "images": {"type": "integer", "minimum": 1, "maximum": 1000000,
                   "description": "Number of images made"},
        "size": {"type": "integer", "minimum": 32, "maximum": 8192,
                 "description": "Side of the images made, in px"},
        "seed": {"type": "integer", "minimum": 0, "maximum": 4294967295, "default": 0,
                 "description": "Seed of the images made"},
    },
}  # fmt: skip


def read(folder: Path) -> list[Record]:
    """List the images below `folder` (``{images,masks}/<id>.png`` and ``labels.csv``).

    Raises
    ------
    InputError
        If ``labels.csv`` is missing or damaged, lists an image twice, or lacks the label of an
        image.
    """
    root = find_root(folder, "phantom-lesions")
    table = root / "labels.csv"
    rows = read_table(table, ["image_id", "label"])
    labels = dict(zip(map(name_key, rows["image_id"]), rows["label"], strict=True))
    pairs = pair_by_name(root)
    for image_id, image, _ in pairs:
        if name_key(image_id) not in labels:
            raise InputError(f"{table}: has no label for {image.name}; add its row.")
    return [
        Record(image_id, image, mask, labels[name_key(image_id)], group=image_id)
        for image_id, image, mask in pairs
    ]


def generate(folder: Path, images: int, size: int, seed: int = 0) -> None:
    """Write the first phantoms in the layout of a real data set; the settings are those of `ABOUT`.

    `folder` receives ``images/<id>.png`` (RGB), ``masks/<id>.png`` (grey, 0 or 255) and
    ``labels.csv`` (``image_id,label``; label ``background`` or ``lesion``).
    """
    with (
        atomic_path(folder / "labels.csv") as labels,
        labels.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["image_id", "label"])
        for index in range(images):
            image, mask = phantom_lesion(index, size, seed)
            name = image_name(index)
            for kind, pixels in (("images", image), ("masks", mask.astype(np.uint8) * 255)):
                with atomic_path(folder / kind / f"{name}.png") as path:
                    Image.fromarray(pixels).save(path, compress_level=1)
            table.writerow([name, "lesion" if mask.any() else "background"])
