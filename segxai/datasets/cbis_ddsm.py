"""CBIS-DDSM: 3,103 digitised mammograms of 1,566 patients, their lesions outlined [1]_.

References
----------
.. [1] Lee et al., "A curated mammography data set for use in computer-aided detection and
   diagnosis research", Scientific Data 4, 170177 (2017), doi:10.1038/sdata.2017.177.
"""

import os
import re
from pathlib import Path

import pandas as pd

from segxai.datasets.record import Record, image_files, index_files, is_added
from segxai.datasets.splits import TEST, TRAIN
from segxai.images import dicom
from segxai.job.files import read_table
from segxai.job.log import InputError, reason
from segxai.workflow.names import name_key

ABOUT = {
    "title": "CBIS-DDSM", "cites": "doi:10.1038/sdata.2017.177",
    "settings": {
        "abnormalities": {"enum": ["mass", "calc", "both"], "default": "mass",
                          "description": "Which lesions: masses, calcifications, or both"},
    },
}  # fmt: skip

ABNORMALITIES = {"mass": ["mass"], "calc": ["calc"], "both": ["mass", "calc"]}
LABELS = {"BENIGN": "benign", "BENIGN_WITHOUT_CALLBACK": "benign", "MALIGNANT": "malignant"}
PATHS = {
    "image": "image file path",
    "mask": "ROI mask file path",
    "crop": "cropped image file path",
}
UID = r"\d+(?:\.\d+){4,}"


def read(folder: Path, abnormalities: str = "mass") -> list[Record]:
    """List all images of the case tables, training before test, in their order.

    An image is malignant if one of its lesions is, benign otherwise (also where the patient was
    not called back). Images of one patient are a group; numbers of patients are the same in all
    four tables. With `abnormalities` "both", 31 patients are on both sides of the official split,
    and 71 mammograms are in the set twice, once with their masses and once with their
    calcifications: see :func:`segxai.datasets.splits.split_officially`.

    The tables lie up to two folders deep. A series is a folder that is named by its
    SeriesInstanceUID, in whatever folder it lies: ``<uid>/*.dcm`` of the Imaging Data Commons (also
    ``MG_<uid>``), ``<patient>/<study>/<uid>/*.dcm`` of TCIA, ``jpeg/<uid>/*.jpg`` of the copy on
    Kaggle. Folders of other names, as TCIA's downloader makes them, are identified by the header of
    their first DICOM file. An absent series is listed as ``folder/<uid>``: loading then rejects its
    image by name, and all other images keep their side of the split.

    Mask and crop of a lesion share a series, or have one each, and neither their names nor the
    table distinguish them: all are listed, and loading chooses by their pixels.

    Raises
    ------
    InputError
        If a table is missing, damaged or has an unknown pathology, a series lies in two folders,
        or a folder cannot be identified.
    """
    tables = index_files(folder, "*_case_description_*_set.csv")
    series = index_series(folder)
    records = []
    for kind in ABNORMALITIES[abnormalities]:
        for side in (TRAIN, TEST):
            name = f"{kind}_case_description_{side}_set.csv"
            cases = read_cases(tables.get(name_key(name), folder / name))
            for _, lesions in cases.groupby("image", sort=False):
                uids = [*lesions["image"], *lesions["mask"], *lesions["crop"]]
                image, *masks = (series.get(uid, folder / uid) for uid in dict.fromkeys(uids))
                records.append(
                    Record(
                        lesions["image_id"].iloc[0],
                        image,
                        tuple(masks),
                        label=lesions["label"].max(),  # "malignant" comes after "benign"
                        group=lesions["patient_id"].iloc[0],
                        split=side,
                        lesions=lesions["mask"].nunique(),
                    )
                )
    return records


def read_cases(table: Path) -> pd.DataFrame:
    """Read a case table: one row per lesion.

    It has patient_id, label, image_id (such as ``Mass-Training_P_00001_LEFT_CC``), and the
    SeriesInstanceUID of image, mask and crop.
    """
    text = read_table(table, ["patient_id", "pathology", *PATHS.values()], unique=False)
    if unknown := sorted(set(text["pathology"]) - set(LABELS)):
        raise InputError(
            f"{table}: has the pathology '{unknown[0]}', which is not one of {', '.join(LABELS)}; "
            "correct its row."
        )
    cases = text[["patient_id"]].assign(label=text["pathology"].map(LABELS))
    for name, column in PATHS.items():
        parts = text[column].str.extract(rf"^([^/]+)/{UID}/({UID})/[^/]+\.dcm$")
        if (bad := parts.isna().any(axis=1)).any():
            raise InputError(
                f"{table}: the {column} '{text[column][bad].iloc[0]}' does not name a series; "
                "replace it by the original."
            )
        cases[name] = parts[1]
        if name == "image":
            cases["image_id"] = parts[0]
    return cases


def index_series(folder: Path) -> dict[str, Path]:
    """Find the folder of each series by its SeriesInstanceUID."""
    folders: dict[str, Path] = {}
    seen = set()
    for parent, children, _ in os.walk(folder, followlinks=True):
        place = Path(parent)
        # Links may form a circle.
        if (real := os.path.realpath(parent)) in seen:
            children.clear()
            continue
        seen.add(real)
        children[:] = [name for name in children if not is_added(place / name)]
        if uid := identify(place):
            if other := folders.get(uid):
                raise InputError(
                    f"{place}: is the same series as {other}; move one of the two elsewhere."
                )
            folders[uid] = place
    return folders


def identify(place: Path) -> str | None:
    """SeriesInstanceUID of a folder, by its name or else its first DICOM file; None without."""
    files = image_files(place)
    if files and (named := re.search(rf"{UID}$", place.name)):
        return named[0]
    for file in files:
        if file.suffix.lower() == dicom.SUFFIX:
            try:
                return dicom.series_uid(file)
            # On a hostile file, decoders raise almost any exception.
            except Exception as error:
                raise InputError(
                    f"{file}: its header cannot be read ({reason(error)}); replace it by an intact "
                    "copy."
                ) from None
    return None
