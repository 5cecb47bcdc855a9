"""Records, one per image, that a reader lists, and the files of images and masks."""

import fnmatch
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segxai.images.load import load_image
from segxai.job.log import InputError
from segxai.workflow.contents import ADDED
from segxai.workflow.names import name_key, plain

RGB = ("red", "green", "blue")
SAMPLE_COLUMNS = ["image_id", "source", "height", "width", "group", "split", "label"]
NO_FINDING = "no finding"  # label of an image without any of the classes
IMAGE_SUFFIXES = (".dcm", ".jpeg", ".jpg", ".png", ".tif", ".tiff")


@dataclass(frozen=True)
class Finding:
    """One outlined finding of an image that may show several.

    Attributes
    ----------
    label : str
        One of the data set's classes.
    outline : Path or tuple of (x, y), optional
        A mask file, or the corners of a polygon in pixels of the original, both ends included. None
        where the image shows the finding but its outline is unknown.
    """

    label: str
    outline: Path | tuple[tuple[float, float], ...] | None


@dataclass(frozen=True)
class Record:
    """One image of a data set.

    Attributes
    ----------
    image_id : str
        Name of the image, unique in its data set.
    image, mask : Path
        Expected files of the image and its mask; loading checks that they exist. A folder, such as
        a DICOM series, stands for its largest image, and for its masks, which :func:`masks_of` in
        :mod:`segxai.datasets.pairs` recognises. Several masks (tuple of Path) are joined, an empty
        tuple is a mask without foreground, and None is an unknown outline. With `findings`, `mask`
        is the file that they were read from.
    label : str
        One of the data set's classes; with `findings`, all of them (:func:`joined_label`).
    group : str
        Images of one group (patient, lesion) stay on one side of the split; `image_id` where
        no groups are known.
    findings : tuple of Finding, optional
        All findings of the image, where an image may show several classes, each with its own mask.
    marker : Path, optional
        Mask of a planted shortcut (:mod:`segxai.datasets.phantoms.radiographs`).
    split : {"train", "test"}, optional
        Side of the published split, where there is one.
    lesions : int, optional
        Number of masks; by default one per path of `mask`.
    instances : Path, optional
        File with the object number of each pixel, 0 for the background. `mask` is then the same
        file, and the mask is where the number is not 0.
    bits : int, optional
        Number of bits that a 16-bit image uses: `bits` of the data set.
    """

    image_id: str
    image: Path
    mask: Path | tuple[Path, ...] | None
    label: str
    group: str
    findings: tuple[Finding, ...] | None = None
    marker: Path | None = None
    split: str | None = None
    lesions: int | None = None
    instances: Path | None = None
    bits: int | None = None

    @property
    def labels(self) -> set[str]:
        """The classes that the image shows."""
        if self.findings is None:
            return {self.label}
        return {finding.label for finding in self.findings}

    @property
    def mask_paths(self) -> tuple[Path, ...]:
        """Where the masks should be."""
        if self.mask is None:
            return ()
        return (self.mask,) if isinstance(self.mask, Path) else self.mask

    def load(self, channels: Sequence[str] = RGB) -> np.ndarray:
        """Load the image (H, W, C), uint8, uint16 or float32; this class gives RGB.

        A reader of other images overrides this; `channels` are those of the data set, for a reader
        that has several to choose from.
        """
        return load_image(largest_image(self.image), self.bits)


def joined_label(labels: Iterable[str]) -> str:
    """All classes of an image in one text, such as "Effusion + Nodule"."""
    return " + ".join(sorted(set(labels))) or NO_FINDING


def label_columns(records: Sequence[Record], classes: Sequence[str]) -> list[str]:
    """Columns of ``samples.csv`` for the classes: whether an image shows each.

    There are none where each image shows one class: `label` then suffices.
    """
    for record in records:
        if unknown := sorted(record.labels - set(classes)):
            raise InputError(
                f"{record.image_id}: its label '{unknown[0]}' is not among the classes "
                f"{', '.join(classes)}; add it to `classes` of the data set."
            )
    several = any(record.findings is not None for record in records)
    return [f"label_{name}" for name in classes] if several else []


def find_root(folder: Path, name: str) -> Path:
    """Find the folder that holds ``images`` and ``masks``: `folder` itself or `folder`/`name`."""
    for root in (folder / name, folder):
        if (root / "images").is_dir() and (root / "masks").is_dir():
            return root
    raise InputError(
        f"{folder}: holds no folders 'images' and 'masks', nor '{name}' with both; "
        "let `path` of the data set name the folder that does."
    )


def is_added(path: Path, folder: Path | None = None) -> bool:
    """Whether the operating system added a file, or a folder between it and `folder`."""
    parts = path.relative_to(folder).parts if folder else [path.name]
    return any(map(ADDED.fullmatch, parts))


def files_by_name(folder: Path) -> dict[str, Path]:
    """Files of a folder by their names without suffix: :func:`segxai.workflow.names.name_key`.

    Files that operating systems add are passed over. A missing folder has no files.
    """
    files: dict[str, Path] = {}
    for path in sorted(folder.glob("*")):
        # A broken link counts as a missing file.
        if path.is_dir() or is_added(path):
            continue
        key = name_key(stem(path))
        if key in files:
            raise InputError(
                f"{path}: has the name of {files[key].name} beside it, except for suffix, case or "
                "form of its letters; rename one of the two, or move it elsewhere."
            )
        files[key] = path
    return files


def stem(path: Path) -> str:
    """Name of an image: that of its file, without a suffix that holds a letter."""
    return plain(re.sub(r"\.[^\W\d_]\w*$", "", path.name))


def pair_by_name(root: Path) -> list[tuple[str, Path, Path]]:
    """Pair the files of ``images`` and ``masks`` by their names: (image_id, image, mask), sorted.

    Names are compared without suffix: see :func:`files_by_name`. A file without its counterpart is
    listed too, with the expected path of the counterpart, so that loading rejects it by name.
    """
    images, masks = (files_by_name(root / part) for part in ("images", "masks"))
    if not images and not masks:
        raise InputError(f"{root}: 'images' and 'masks' are empty; check the copy on disk.")
    pairs = []
    for key, file in (masks | images).items():
        image, mask = (root / part / file.name for part in ("images", "masks"))
        pairs.append((stem(file), images.get(key, image), masks.get(key, mask)))
    return sorted(pairs)


def index_files(folder: Path, pattern: str, parents: str = ".*") -> dict[str, Path]:
    """Find files up to two folders deep by a `pattern` of their names, which must be unique.

    `parents` is a regular expression for the names of the folders that hold them. Neither depends
    on case. Files that operating systems add are passed over. Returns the files by the
    :func:`segxai.workflow.names.name_key` of their names.
    """
    named = re.compile(fnmatch.translate(pattern), re.IGNORECASE)
    files: dict[str, Path] = {}
    for depth in ("*", "*/*", "*/*/*"):
        for path in sorted(folder.glob(depth)):
            if is_added(path, folder) or not (
                named.fullmatch(path.name)
                and re.fullmatch(parents, path.parent.name, re.IGNORECASE)
            ):
                continue
            other = files.setdefault(name_key(path.name), path)
            # A link to a file counts as that file.
            if other != path and os.path.realpath(other) != os.path.realpath(path):
                raise InputError(
                    f"{path}: has the name of {other}; move one of the two out of {folder}."
                )
    return files


def image_files(folder: Path) -> list[Path]:
    """Image files of a folder by their suffix, sorted by name, without files that systems add."""
    return sorted(
        file
        for file in folder.iterdir()
        if file.suffix.lower() in IMAGE_SUFFIXES and not is_added(file) and file.is_file()
    )


def largest_image(path: Path) -> Path:
    """Choose the largest image file of a folder; return a file unchanged."""
    if not path.is_dir():
        return path
    files = image_files(path)
    if not files:
        raise InputError(f"{path}: holds no image file; restore it from the original.")
    return max(files, key=lambda file: file.stat().st_size)


def require_unique(names: Iterable[str], source: Path) -> None:
    """Refuse an image that `source` lists twice."""
    for name, count in Counter(names).most_common(1):
        if count > 1:
            raise InputError(f"{source}: lists {name} {count} times; keep one of its entries.")
