"""NuInsSeg: 665 images of H&E-stained tissue from 31 human and mouse organs [1]_.

More than 30,000 nuclei are outlined one by one. Each tissue is one slide: in a split by image, both
sides hold images of the same slides.

References
----------
.. [1] Mahbod et al., "NuInsSeg: a fully annotated dataset for nuclei instance segmentation in
   H&E-stained histological images", Scientific Data 11, 295 (2024),
   doi:10.1038/s41597-024-03117-2.
"""

from pathlib import Path

from segxai.datasets.record import Record, files_by_name, is_added, stem
from segxai.job.log import InputError

ABOUT = {"title": "NuInsSeg", "cites": "doi:10.1038/s41597-024-03117-2", "settings": {}}

TISSUES = (
    "human bladder", "human brain", "human cardia", "human cerebellum", "human epiglottis",
    "human jejunum", "human kidney", "human liver", "human lung", "human melanoma", "human muscle",
    "human oesophagus", "human pancreas", "human peritoneum", "human placenta", "human pylorus",
    "human rectum", "human salivory gland", "human spleen", "human testis", "human tongue",
    "human tonsile", "human umbilical cord", "mouse fat (white and brown)_subscapula",
    "mouse femur", "mouse heart", "mouse kidney", "mouse liver", "mouse muscle_tibia",
    "mouse spleen", "mouse thymus",
)  # fmt: skip
IMAGES = "tissue images"
# The authors' masks for evaluation come first. In the second kind, overlapping nuclei have the sum
# of their numbers.
INSTANCES = ("label masks modify", "label masks")
BINARY = "mask binary"


def read(folder: Path) -> list[Record]:
    """List the images of each tissue below `folder`, by tissue and name; the tissue is the label.

    A tissue holds ``tissue images/<id>.png`` and, for each image, the first of these that exists:
    ``label masks modify/<id>.tif``, ``label masks/<id>.tif`` and ``mask binary/<id>.png``; only the
    first two number the nuclei. The masks without borders, the eroded ones and those of ambiguous
    areas are not read. Tissues may be missing, and may lie in a subfolder such as ``NuInsSeg``. An
    image without a mask, or a mask without an image, is listed with the expected path of the
    missing file, so that loading rejects it by name. There are no patient identifiers, so each
    image is its own group.

    Raises
    ------
    InputError
        If no tissue exists, a tissue is not among the published ones, has no images or lies in two
        places, or two files have one name.
    """
    records = []
    for tissue in find_tissues(folder):
        images = files_by_name(tissue / IMAGES)
        labelled = {}
        for part in reversed(INSTANCES):
            labelled |= files_by_name(tissue / part)
        binary = files_by_name(tissue / BINARY)
        names = {key: stem(file) for key, file in (binary | labelled | images).items()}
        if not names:
            raise InputError(f"{tissue}: holds no images; restore it or move it elsewhere.")
        for key, name in sorted(names.items(), key=lambda item: item[1]):
            absent = tissue / INSTANCES[0] / f"{name}.tif"
            records.append(
                Record(
                    name,
                    images.get(key, tissue / IMAGES / f"{name}.png"),
                    labelled.get(key) or binary.get(key, absent),
                    label=tissue.name,
                    group=name,
                    instances=labelled.get(key),
                )
            )
    return records


def find_tissues(folder: Path) -> list[Path]:
    """Find the folders of the tissues in `folder` or one folder deeper, sorted by name."""
    tissues: dict[str, Path] = {}
    for path in sorted([*folder.glob("*/"), *folder.glob("*/*/")]):
        if is_added(path, folder) or not (path.name in TISSUES or (path / IMAGES).is_dir()):
            continue
        if path.name not in TISSUES:
            raise InputError(
                f"{path}: is not a published tissue (one of {len(TISSUES)}); rename it, or move it "
                "elsewhere."
            )
        if other := tissues.get(path.name):
            raise InputError(f"{path}: has the name of {other}; move one of the two elsewhere.")
        tissues[path.name] = path
    if not tissues:
        raise InputError(
            f"{folder}: holds no tissue such as '{TISSUES[0]}/{IMAGES}'; let `path` of the data "
            "set name the folder that does."
        )
    return [tissues[name] for name in sorted(tissues)]
