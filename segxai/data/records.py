"""What a reader tells about a data set: one record per image, and the rows made of them."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from segxai.runtime import InputError

SAMPLE_COLUMNS = [
    "image_id",
    "source",
    "height",
    "width",
    "group",
    "split",
    "label",
    "mask_pixels",
]
TEXT_COLUMNS = dict.fromkeys(
    ["image_id", "group", "split", "label", "segmenter", "class", "target", "rank"], str
)


@dataclass(frozen=True)
class Record:
    """One image of a data set.

    Attributes
    ----------
    image_id : str
        Name of the image, unique in its data set.
    image, mask : Path
        Where the image and its mask should be; loading tells whether they are.
    label : str
        One of the data set's classes.
    group : str
        Images of one group (patient, lesion) stay on one side of the split; `image_id` where
        no groups are known.
    """

    image_id: str
    image: Path
    mask: Path
    label: str
    group: str


def find_root(folder: Path, name: str) -> Path:
    """Find the folder that holds ``images`` and ``masks``: `folder` itself or `folder`/`name`.

    Raises
    ------
    InputError
        If neither holds both.
    """
    for root in (folder / name, folder):
        if (root / "images").is_dir() and (root / "masks").is_dir():
            return root
    raise InputError(
        f"{folder}: holds no folders 'images' and 'masks', nor '{name}' with both; "
        "let `path` of the data set name the folder that does."
    )


def pair_by_name(root: Path) -> list[tuple[str, Path, Path]]:
    """Pair the files of ``images`` and ``masks`` by their names.

    Returns
    -------
    pairs : list of (image_id, image, mask)
        Sorted by name. A file without its counterpart is listed as well, with the path where
        the counterpart should be, so that loading rejects it by name.

    Raises
    ------
    InputError
        If there are no files, or two that differ in their suffix only.
    """
    names = sorted(
        {
            file.name
            for part in ("images", "masks")
            for file in (root / part).iterdir()
            if file.is_file() and not file.name.startswith(".")
        }
    )
    if not names:
        raise InputError(f"{root}: 'images' and 'masks' are empty; check the copy on disk.")
    pairs = {}
    for name in names:
        stem = Path(name).stem
        if stem in pairs:
            raise InputError(f"{root}: two files are called '{stem}' ({name}); remove one.")
        pairs[stem] = (stem, root / "images" / name, root / "masks" / name)
    return list(pairs.values())


def read_rows(path: str | Path) -> pd.DataFrame:
    """Read a table with one row per image: names stay text, also '0012' and 'NA'.

    An empty cell is NaN: an undefined score.
    """
    return pd.read_csv(path, dtype=TEXT_COLUMNS, keep_default_na=False, na_values=[""])
