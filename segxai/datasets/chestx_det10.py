"""ChestX-Det10: 3,543 chest radiographs with boxes around findings of ten classes [1]_.

ChestX-Det [2]_ outlines the same findings by polygons. Both repositories number the images in their
own way; an older version of the boxes has the names of ChestX-ray14, which begin with the patient.

References
----------
.. [1] Liu, Lian and Yu, "ChestX-Det10: chest X-ray dataset on detection of thoracic
   abnormalities", 2020, arXiv:2006.10550.
.. [2] Lian et al., "A structure-aware relation network for thoracic diseases detection and
   segmentation", IEEE TMI 40(8), 2021, doi:10.1109/TMI.2021.3070847.
"""

from pathlib import Path

from segxai.datasets.record import Finding, Record, index_files, joined_label, require_unique
from segxai.job.files import read_json
from segxai.job.log import InputError, reason
from segxai.workflow.names import name_key

ABOUT = {
    "title": "ChestX-Det10", "cites": "arXiv:2006.10550",
    "settings": {
        "masks": {
            "enum": ["boxes", "polygons"], "default": "boxes",
            "description": "Outlines: the boxes of ChestX-Det10 or the polygons of ChestX-Det",
        },
    },
}  # fmt: skip

CLASSES = (
    "Atelectasis", "Calcification", "Consolidation", "Effusion", "Emphysema", "Fibrosis",
    "Fracture", "Mass", "Nodule", "Pneumothorax",
)  # fmt: skip
ONLY_IN_CHESTX_DET = ("Cardiomegaly", "Diffuse Nodule", "Pleural Thickening")
PARTS = ("train", "test")
NIH_NAMES = "{}_nih_names_commit_0a9d918.json"


def read(folder: Path, masks: str = "boxes") -> list[Record]:
    """List all images of ``train.json`` and ``test.json``, in their order.

    The labels of an image are the classes of its boxes; 764 images have none. Outlines are the
    boxes, or (`masks` "polygons") the polygons of ``ChestX_Det_{train,test}.json`` for the same
    image and classes. Images of one patient are a group if the older version of the boxes lies
    beside them; otherwise each image is its own group. An image that the files list but the folder
    lacks stays in the list: see :func:`segxai.datasets.ham10000.read`.

    Raises
    ------
    InputError
        If a file is missing or damaged, lists an image twice, has an unknown class or lacks the
        polygons of an image; if two images have one name; if the folder holds no image.
    """
    images = index_files(folder, "*.png")
    if not images:
        raise InputError(f"{folder}: has no PNG image; check `path` of the data set.")
    records = []
    for part in PARTS:
        source = folder / f"{part}.json"
        labelled = read_findings(source)
        groups = patients(folder / NIH_NAMES.format(part), labelled, source)
        outlined = labelled
        if masks == "polygons":
            source = folder / f"ChestX_Det_{part}.json"
            outlined = same_classes(labelled, read_findings(source, "polygons"), source)
        for name, findings in outlined.items():
            image_id = Path(name).stem
            records.append(
                Record(
                    image_id,
                    images.get(name_key(name), folder / f"{part}_data" / name),
                    source,
                    joined_label(finding.label for finding in labelled[name]),
                    groups.get(name, image_id),
                    findings,
                )
            )
    require_unique((record.image_id for record in records), folder / "train.json")
    return records


def read_findings(source: Path, kind: str = "boxes") -> dict[str, tuple[Finding, ...]]:
    """Read the outlined findings of each image by its file name."""
    entries = read_json(source)
    known = CLASSES if kind == "boxes" else CLASSES + ONLY_IN_CHESTX_DET
    try:
        if not entries:
            raise ValueError("it is empty")
        require_unique((entry["file_name"] for entry in entries), source)
        if odd := [entry["file_name"] for entry in entries if type(entry["file_name"]) is not str]:
            raise TypeError(f"the name {odd[0]}")
        return {
            entry["file_name"]: tuple(
                finding(label, outline, known, f"{source}: {entry['file_name']}")
                for label, outline in zip(entry["syms"], entry[kind], strict=True)
            )
            for entry in entries
        }
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise InputError(
            f"{source}: is not a list of images with `file_name`, `syms` and `{kind}` of equal "
            f"number ({type(error).__name__}: {reason(error)}); replace it by the original."
        ) from error


def finding(label: str, outline: list, known: tuple[str, ...], place: str) -> Finding:
    """Check one finding: a box [x1, y1, x2, y2] or polygon [[x, y], …] of a known class."""
    if label not in known:
        raise InputError(
            f"{place} has the class '{label}', which is not one of {', '.join(known)}; correct it."
        )
    if not isinstance(outline[0], list):
        left, top, right, bottom = outline
        if left > right or top > bottom:
            raise InputError(f"{place} has the box {outline}, which is inside out; correct it.")
        outline = [[left, top], [right, top], [right, bottom], [left, bottom]]
    if len(outline) < 3:
        raise ValueError(f"a polygon of {len(outline)} corners")
    return Finding(label, tuple((float(x), float(y)) for x, y in outline))


def same_classes(
    labelled: dict[str, tuple[Finding, ...]], outlined: dict[str, tuple[Finding, ...]], source: Path
) -> dict[str, tuple[Finding, ...]]:
    """Keep the images that are labelled and, of their outlines, those of a labelled class."""
    kept = {}
    for name, findings in labelled.items():
        labels = {finding.label for finding in findings}
        kept[name] = tuple(finding for finding in outlined.get(name, ()) if finding.label in labels)
        if name not in outlined or (lacking := labels - {finding.label for finding in kept[name]}):
            what = f"the {min(lacking)} of {name}" if name in outlined else name
            raise InputError(f"{source}: lacks {what}; replace it by an intact copy.")
    return kept


def patients(source: Path, labelled: dict[str, tuple[Finding, ...]], newer: Path) -> dict[str, str]:
    """Patient of each image, by the boxes that have NIH's names; {} without these.

    Both must list the same findings in the same order.
    """
    if not source.is_file():
        return {}
    named = read_findings(source)
    if list(named.values()) != list(labelled.values()):
        raise InputError(
            f"{source}: its boxes differ from {newer.name}, so that its names cannot be matched; "
            "replace or remove it."
        )
    return {name: old.partition("_")[0] for name, old in zip(labelled, named, strict=True)}
