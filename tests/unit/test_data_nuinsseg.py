"""NuInsSeg: pairs from any of its mask folders, numbered nuclei where possible, and damage."""

import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from segxai.datasets import nuinsseg
from segxai.datasets.pairs import load_pair
from segxai.datasets.reading import read_records
from segxai.datasets.samples import select_records
from segxai.images.load import load_image, load_instances
from segxai.job.files import read_rows
from segxai.job.log import InputError

FAT = "mouse fat (white and brown)_subscapula"
IDS = np.zeros((16, 16), np.uint16)
IDS[2:6, 2:6] = 1
IDS[2:6, 6:9] = 300  # touches the first, and would be black by a threshold of grey values
IDS[10:14, 10:14] = 2
MASK = IDS > 0


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def add_image(tissue, name, **masks):
    """Write an image and its masks, each into the folder of its keyword with blanks for "_"."""
    write(tissue / "tissue images" / f"{name}.png", np.full((16, 16, 3), 200, np.uint8))
    for folder, pixels in masks.items():
        suffix = "tif" if folder.startswith("label") else "png"
        write(tissue / folder.replace("_", " ") / f"{name}.{suffix}", pixels)


@pytest.fixture
def nuclei(tmp_path):
    """Write three tissues as the archive lays them out, with what else lies beside the masks."""
    brain, fat, liver = (
        tmp_path / "NuInsSeg" / name for name in ("human brain", FAT, "mouse liver")
    )
    overlapping, eroded = IDS + np.uint16(1), np.zeros_like(MASK)
    for name in ("human_brain_02", "human_brain_1"):
        masks = {"label_masks_modify": IDS, "label_masks": overlapping}
        masks |= {"mask_binary": MASK.astype(np.uint8), "mask_binary_without_border": eroded}
        add_image(brain, name, **masks)
        write(brain / "vague areas" / "mask binary" / f"{name}.png", eroded)
    add_image(fat, "mouse_subscapula_08", label_masks=IDS)
    add_image(liver, "mouse_liver_12", mask_binary=MASK.astype(np.uint8))
    add_image(liver, "mouse_liver_21", mask_binary=MASK * np.uint8(255))
    (brain / "tissue images" / ".DS_Store").touch()
    (tmp_path / "__MACOSX" / "human brain" / "tissue images").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "human brain" / "tissue images" / "._human_brain_1.png").touch()
    return tmp_path


def test_images_are_paired_and_labelled(nuclei):
    """Order by tissue and name; the label is the folder's name, whatever the files are called."""
    records = read_records("nuinsseg", nuclei)
    assert [record.image_id for record in records] == [
        *("human_brain_02", "human_brain_1", "mouse_subscapula_08"),
        *("mouse_liver_12", "mouse_liver_21"),
    ]
    assert [r.label for r in records] == ["human brain"] * 2 + [FAT] + ["mouse liver"] * 2
    assert all(record.group == record.image_id == record.image.stem for record in records)
    assert read_records("nuinsseg", nuclei / "NuInsSeg") == records


def test_the_best_masks_are_taken(nuclei):
    """Modified labels before labels before the binary mask, which alone does not number nuclei."""
    records = read_records("nuinsseg", nuclei)
    chosen = ["label masks modify"] * 2 + ["label masks"] + ["mask binary"] * 2
    assert [record.mask.parent.name for record in records] == chosen
    assert [r.instances for r in records] == [r.mask for r in records[:3]] + [None, None]


def test_all_kinds_of_masks_are_the_same_pixels(nuclei):
    """Sixteen-bit numbers, a mask of 0 and 1 that looks black, and one of 0 and 255 agree."""
    for record in read_records("nuinsseg", nuclei):
        np.testing.assert_array_equal(load_pair(record, 16).masks[0], MASK, err_msg=record.image_id)


def test_a_fourth_channel_is_dropped(nuclei):
    """An image with an alpha channel keeps its colours."""
    record = read_records("nuinsseg", nuclei)[0]
    colours = np.random.default_rng(0).integers(0, 256, (16, 16, 4), dtype=np.uint8)
    write(record.image, colours)
    np.testing.assert_array_equal(load_pair(record, 16).image, colours[..., :3])


def test_missing_counterparts_are_listed_and_named(nuclei):
    """An image without a mask and a mask without an image are rejected by name when loaded."""
    brain, liver = nuclei / "NuInsSeg" / "human brain", nuclei / "NuInsSeg" / "mouse liver"
    (brain / "tissue images" / "human_brain_1.png").unlink()
    (liver / "mask binary" / "mouse_liver_12.png").unlink()
    records = {record.image_id: record for record in read_records("nuinsseg", nuclei)}
    assert len(records) == 5
    with pytest.raises(InputError, match=r"tissue images/human_brain_1\.png: no such file"):
        load_pair(records["human_brain_1"], 16)
    with pytest.raises(InputError, match=r"label masks modify/mouse_liver_12\.tif: no such file"):
        load_pair(records["mouse_liver_12"], 16)


def test_masks_of_another_size_are_refused(nuclei):
    """A label mask that does not fit its image is named with both sizes."""
    record = read_records("nuinsseg", nuclei)[0]
    write(record.instances, IDS[:12])
    with pytest.raises(InputError, match=r"human_brain_02\.tif: is 16×12 pixels but its image"):
        load_pair(record, 16)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((16, 16, 3), np.uint8),
        np.full((16, 16), 0.5, np.float32),
        np.full((16, 16), -1, np.int32),
    ],
    ids=["colours", "fractions", "negative"],
)
def test_invalid_numbers_of_nuclei_are_refused(tmp_path, pixels):
    """Colours, fractions and negative numbers are refused as ids."""
    write(tmp_path / "a.tif", pixels)
    with pytest.raises(InputError, match=r"a\.tif: holds no instance ids"):
        load_instances(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda root: (root / "mouse liver").rename(root / "mouse lever"), "mouse lever: "),
        (
            lambda root: shutil.rmtree(root),
            r"holds no tissue such as 'human bladder/tissue images'",
        ),
        (lambda root: (root / "human lung").mkdir(), "human lung: holds no images"),
        (
            lambda root: shutil.copytree(root / "mouse liver", root.parent / "mouse liver"),
            "mouse liver: has the name of",
        ),
        (
            lambda root: add_image(root / "mouse heart", "mouse_liver_12", mask_binary=MASK),
            "is called 'mouse_liver_12', and so is",
        ),
        (
            lambda root: write(root / "mouse liver/mask binary/mouse_liver_12.bmp", MASK),
            r"mouse_liver_12\.png: has the name of mouse_liver_12\.bmp",
        ),
    ],
)
def test_an_odd_layout_is_one_sentence(nuclei, change, reason):
    """Unknown, empty, doubled or no tissues, and files of one name, each name file and cure."""
    change(nuclei / "NuInsSeg")
    with pytest.raises(InputError, match=reason) as error:
        read_records("nuinsseg", nuclei)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_classes_are_the_tissues(checkout):
    """The data set's classes are the reader's 31 tissues, in order."""
    definition = yaml.safe_load((checkout / "config/datasets/nuinsseg.yaml").read_text())
    assert tuple(definition["datasets"]["nuinsseg"]["classes"]) == nuinsseg.TISSUES
    assert len(set(nuinsseg.TISSUES)) == 31


@pytest.fixture(scope="session")
def real_nuclei(shared):
    """Return the folder of the real sample; skip where it is absent."""
    folder = shared / "data" / "nuinsseg"
    if not folder.is_dir():
        pytest.skip("no shared/data/nuinsseg")
    return folder


@pytest.mark.real
def test_the_real_sample_loads(real_nuclei):
    """64 images of all 31 tissues load with nuclei on each, two of them with numbers."""
    records = read_records("nuinsseg", real_nuclei)
    assert len(records) == 64
    assert sorted({record.label for record in records}) == list(nuinsseg.TISSUES)
    for record in records:
        image, masks, shape, _ = load_pair(record, 512)
        mask = masks[0]
        assert shape == (512, 512) and 0.003 < mask.mean() < 0.6
        # Nuclei are stained dark: what is outlined is darker than what is not.
        assert image[mask == 1].mean() < image[mask == 0].mean() + 3, record.image_id
    numbered = {r.image_id: load_instances(r.instances).max() for r in records if r.instances}
    assert numbered == {"human_bladder_01": 24, "human_bladder_02": 3}


@pytest.mark.real
def test_the_published_names_are_split_as_the_paper(real_nuclei, tmp_path):
    """665 images of the published names: 472 human, 193 mouse, 600 + 65, each tissue its share."""
    names = read_rows(real_nuclei / "name_map.csv")
    for tissue, name in zip(names.organ, names.file, strict=True):
        path = tmp_path / tissue / "tissue images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    records = read_records("nuinsseg", tmp_path)
    labels = pd.Series([record.label for record in records])
    assert labels.str.startswith("human").sum() == 472 and len(records) == 665
    assert labels.value_counts().to_dict() == names.organ.value_counts().to_dict()
    split = pd.Series(select_records(records, None, {"validation": 65, "seed": 1})[1])
    assert split.value_counts().to_dict() == {"train": 600, "validation": 65}
    held_out = (split == "validation").groupby(labels).sum()
    assert (held_out - labels.value_counts() * 65 / 665).abs().max() <= 1


@pytest.mark.real
def test_binary_masks_are_where_numbers_are(real_nuclei):
    """Where the sample has both, the binary mask is exactly where the numbers are not 0."""
    for record in read_records("nuinsseg", real_nuclei):
        if record.instances:
            binary = record.image.parents[1] / "mask binary" / record.image.name
            expected = load_image(binary)[..., 0] > 127
            np.testing.assert_array_equal(load_instances(record.instances) > 0, expected)
