"""Phantom lesions as they lie on disk (:mod:`segxai.data.phantoms` makes them)."""

from pathlib import Path

import pandas as pd

from segxai.data.records import TEXT_COLUMNS, Record, find_root, pair_by_name
from segxai.runtime import InputError


def read(folder: Path) -> list[Record]:
    """List the images below `folder` (``{images,masks}/<id>.png`` and ``labels.csv``).

    Raises
    ------
    InputError
        If ``labels.csv`` is missing or has no label for an image.
    """
    root = find_root(folder, "phantom-lesions")
    table = root / "labels.csv"
    if not table.is_file():
        raise InputError(f"{table}: no such file; it gives the label of each image.")
    labels = pd.read_csv(table, dtype=TEXT_COLUMNS).set_index("image_id")["label"].to_dict()
    pairs = pair_by_name(root)
    for image_id, image, _ in pairs:
        if image_id not in labels:
            raise InputError(f"{table}: has no label for {image.name}; add its row.")
    return [
        Record(image_id, image, mask, labels[image_id], group=image_id)
        for image_id, image, mask in pairs
    ]
