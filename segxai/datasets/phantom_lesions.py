"""Phantom lesions as they lie on disk (:mod:`segxai.datasets.phantoms.lesions` makes them)."""

from pathlib import Path

from segxai.datasets.record import Record, find_root, pair_by_name, require_unique
from segxai.job.files import read_table
from segxai.job.log import InputError

ABOUT = {
    "title": "Phantom lesions",
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
    },
}


def read(folder: Path) -> list[Record]:
    """List the images below `folder` (``{images,masks}/<id>.png`` and ``labels.csv``).

    Raises
    ------
    InputError
        If ``labels.csv`` is missing, damaged, lists an image twice, or has no label for one.
    """
    root = find_root(folder, "phantom-lesions")
    table = root / "labels.csv"
    rows = read_table(table, ["image_id", "label"])
    require_unique(rows["image_id"], table)
    labels = rows.set_index("image_id")["label"].to_dict()
    pairs = pair_by_name(root)
    for image_id, image, _ in pairs:
        if image_id not in labels:
            raise InputError(f"{table}: has no label for {image.name}; add its row.")
    return [
        Record(image_id, image, mask, labels[image_id], group=image_id)
        for image_id, image, mask in pairs
    ]
