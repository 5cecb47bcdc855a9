"""HAM10000: 10,015 dermoscopic images [1]_ with lesions outlined by Tschandl et al. [2]_.

References
----------
.. [1] Tschandl et al., "The HAM10000 dataset", Scientific Data 5, 180161 (2018),
   doi:10.1038/sdata.2018.161.
.. [2] Tschandl et al., "Human–computer collaboration for skin cancer recognition", Nature
   Medicine 26 (2020), doi:10.1038/s41591-020-0942-0.
"""

from pathlib import Path

from segxai.datasets.record import Record, index_files
from segxai.job.files import read_table
from segxai.job.log import InputError
from segxai.workflow.names import name_key

ABOUT = {"title": "HAM10000", "cites": "doi:10.1038/sdata.2018.161", "settings": {}}

DIAGNOSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
IMAGE_FOLDERS = r"images|ham10000_images(_part_[12])?"
MASK_FOLDER = "HAM10000_segmentations_lesion_tschandl"


def read(folder: Path) -> list[Record]:
    """List all images of ``HAM10000_metadata.csv``, in its order, with the diagnosis as label.

    Images of one lesion are a group. The images lie in ``HAM10000_images_part_{1,2}`` or
    ``images``, the masks are called ``<id>_segmentation.png``, each up to two folders deep. An
    image that the table lists but the folder lacks is listed with its expected path: loading then
    rejects it by name, and all other images keep their side of the split.

    Raises
    ------
    InputError
        If the table is missing or damaged, lists an image twice, has an unknown diagnosis, or lacks
        an image of the folder; if two files have one name; if the folder holds no image.
    """
    table = find_table(folder)
    rows = read_table(table, ["image_id", "dx", "lesion_id"])
    images = index_files(folder, "*.jpg", IMAGE_FOLDERS)
    if not images:
        raise InputError(
            f"{folder}: has no image in 'HAM10000_images_part_1', 'HAM10000_images_part_2' or "
            "'images'; check `path` of the data set."
        )
    if unlisted := sorted(images.keys() - set(map(name_key, rows["image_id"] + ".jpg"))):
        raise InputError(
            f"{table}: has no row for {images[unlisted[0]].name}; replace it by an intact copy or "
            "move the image elsewhere."
        )
    masks = index_files(folder, "*_segmentation.png")
    records = []
    for row in rows.itertuples():
        if row.dx not in DIAGNOSES:
            raise InputError(
                f"{table}: {row.image_id} has the diagnosis '{row.dx}', which is not one of "
                f"{', '.join(DIAGNOSES)}; correct its row."
            )
        image, mask = f"{row.image_id}.jpg", f"{row.image_id}_segmentation.png"
        records.append(
            Record(
                row.image_id,
                images.get(name_key(image), folder / "images" / image),
                masks.get(name_key(mask), folder / MASK_FOLDER / mask),
                label=row.dx,
                group=row.lesion_id,
            )
        )
    return records


def find_table(folder: Path) -> Path:
    """Find the metadata, under its published name or that of the SegX authors' copy."""
    for name in ("HAM10000_metadata.csv", "metadata.csv"):
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"{folder / 'HAM10000_metadata.csv'}: no such file; download it from the Dataverse with "
        "`?format=original`."
    )
