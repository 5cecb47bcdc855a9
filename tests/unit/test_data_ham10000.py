"""HAM10000: the paper's counts from the real table, any usual layout, damage reported by name."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segxai.datasets.pairs import load_pair
from segxai.datasets.reading import read_records
from segxai.datasets.splits import split_images
from segxai.job.log import InputError

# Table 1 of the SegX paper.
COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
TABLE = """lesion_id,image_id,dx,dx_type,age
HAM_1,ISIC_0000003,mel,histo,50.0
HAM_0,ISIC_0000001,nv,histo,
HAM_1,ISIC_0000002,mel,follow_up,NA
"""


@pytest.fixture
def ham(tmp_path):
    """Write three images, their masks and their table as the unpacked archives lie."""
    masks = tmp_path / "HAM10000_segmentations_lesion_tschandl"
    masks = masks / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir(parents=True)
    for number in (1, 2, 3):
        part = tmp_path / f"HAM10000_images_part_{1 + number // 3}"
        part.mkdir(exist_ok=True)
        Image.new("RGB", (60, 45), (number, 0, 0)).save(part / f"ISIC_000000{number}.jpg")
        mask = np.zeros((45, 60), np.uint8)
        mask[:30, :30] = 255
        Image.fromarray(mask).save(masks / f"ISIC_000000{number}_segmentation.png")
    junk = tmp_path / "HAM10000_segmentations_lesion_tschandl" / "__MACOSX"
    junk.mkdir()
    (junk / "._ISIC_0000001_segmentation.png").touch()
    (tmp_path / "HAM10000_metadata.csv").write_text(TABLE)
    return tmp_path


def test_records_follow_the_table(ham):
    """Order, labels and lesions are the table's; images and masks are matched in their folders."""
    records = read_records("ham10000", ham)
    assert [record.image_id[-1] for record in records] == ["3", "1", "2"]
    assert [record.label for record in records] == ["mel", "nv", "mel"]
    assert [record.group for record in records] == ["HAM_1", "HAM_0", "HAM_1"]
    for record in records:
        assert record.image.name == f"{record.image_id}.jpg" and record.image.is_file()
        assert record.mask.name == f"{record.image_id}_segmentation.png" and record.mask.is_file()


def test_the_authors_copy_is_read(ham):
    """`images/`, `masks/` and `metadata.csv`, as the SegX authors distribute it, work as well."""
    (ham / "images").mkdir()
    for path in ham.glob("HAM10000_images*/*.jpg"):
        path.rename(ham / "images" / path.name)
    (ham / "HAM10000_segmentations_lesion_tschandl").rename(ham / "masks")
    (ham / "HAM10000_metadata.csv").rename(ham / "metadata.csv")
    assert all(r.image.is_file() and r.mask.is_file() for r in read_records("ham10000", ham))


def test_images_made_smaller_keep_their_masks(ham):
    """An image shrunk by a whole factor shares its mask's frame; another shape is refused."""
    record = read_records("ham10000", ham)[0]
    before = load_pair(record, 30).masks[0]
    Image.new("RGB", (20, 15)).save(record.image)
    _, masks, shape, _ = load_pair(record, 30)
    mask = masks[0]
    assert shape == (15, 20)
    np.testing.assert_array_equal(mask, before)
    assert mask[:20, :15].all() and mask.sum() == 300
    for size in [(40, 30), (60, 44), (20, 45), (120, 90)]:
        Image.new("RGB", size).save(record.image)
        with pytest.raises(InputError, match=r"_segmentation\.png: is 60×45 pixels but its image"):
            load_pair(record, 30)


def test_absent_files_stay_listed(ham):
    """An image or mask that is missing is listed where it should be and rejected by name."""
    next(ham.glob("*/ISIC_0000001.jpg")).unlink()
    next(ham.rglob("ISIC_0000002_seg*")).unlink()
    records = read_records("ham10000", ham)
    assert len(records) == 3
    with pytest.raises(InputError, match=r"ISIC_0000001\.jpg: no such file"):
        load_pair(records[1], 30)
    with pytest.raises(InputError, match=r"ISIC_0000002_segmentation\.png: no such file"):
        load_pair(records[2], 30)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("nv,", "melanoma,", r"metadata\.csv: ISIC_0000001 has the diagnosis 'melanoma'"),
        ("_0000002", "_0000001", r"metadata\.csv: lines 3 and 4 are both of 'ISIC_0000001'"),
        ("HAM_1,ISIC_0000002,mel,follow_up,NA\n", "", r"has no row for ISIC_0000002\.jpg"),
        ("2,mel,follow_up,NA\n", "", r"metadata\.csv: line 4 is incomplete"),
        (TABLE, "", r"metadata\.csv: has no column"),
        (TABLE, "\x00\xff", r"metadata\.csv: .*UTF-8"),
        (TABLE, TABLE.replace(",", ":"), r"metadata\.csv: has no column 'image_id'"),
        (TABLE, TABLE.split("\n")[0], r"metadata\.csv: line 2 is incomplete"),
    ],
)
def test_a_damaged_table_is_one_sentence(ham, old, new, reason):
    """Unknown diagnosis, doubled or missing rows, cut or foreign files each name file and cure."""
    (ham / "HAM10000_metadata.csv").write_bytes(TABLE.replace(old, new).encode("latin-1"))
    with pytest.raises(InputError, match=reason) as error:
        read_records("ham10000", ham)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_missing_table_images_and_doubled_files_are_named(ham):
    """A missing table, missing images and an image in two folders are reported by name."""
    shutil.copytree(ham / "HAM10000_images_part_1", ham / "images")
    with pytest.raises(InputError, match=r"images/ISIC_000000\d\.jpg: has the name of"):
        read_records("ham10000", ham)
    for folder in ("images", "HAM10000_images_part_1", "HAM10000_images_part_2"):
        shutil.rmtree(ham / folder)
    with pytest.raises(InputError, match="has no image in 'HAM10000_images_part_1'"):
        read_records("ham10000", ham)
    (ham / "HAM10000_metadata.csv").unlink()
    with pytest.raises(InputError, match=r"HAM10000_metadata\.csv: no such file"):
        read_records("ham10000", ham)


@pytest.fixture(scope="session")
def real_ham(shared, tmp_path_factory):
    """Return records of the real table, with one image beside it."""
    folder = tmp_path_factory.mktemp("ham")
    shutil.copy(shared / "facts/metadata/ham10000/HAM10000_metadata.csv", folder)
    (folder / "images").mkdir()
    (folder / "images" / "ISIC_0027419.jpg").touch()
    return read_records("ham10000", folder)


@pytest.mark.real
def test_counts_are_the_papers(real_ham):
    """Table 1 of the paper: every class, all images; and 7,470 lesions of one label each."""
    assert pd.Series([record.label for record in real_ham]).value_counts().to_dict() == COUNTS
    assert len({record.image_id for record in real_ham}) == 10015
    assert len({record.group for record in real_ham}) == 7470
    assert len({(record.group, record.label) for record in real_ham}) == 7470


@pytest.mark.real
def test_a_split_by_image_shares_lesions_and_one_by_lesion_does_not(real_ham):
    """By image 713 of 2,004 test images (36 %) share a lesion with training; by lesion none."""
    groups, labels = (np.array([getattr(r, name) for r in real_ham]) for name in ("group", "label"))
    for by, shared_images in (("image", 713), ("group", 0)):
        split = split_images(groups, labels, 1001, seed=1, test=2004, by=by)
        assert dict(zip(*np.unique(split, return_counts=True), strict=True)) == {
            "train": 7010,
            "validation": 1001,
            "test": 2004,
        }
        test = groups[split == "test"]
        assert np.isin(test, groups[split == "train"]).sum() == shared_images
    # The last split, by lesion, also keeps the shares of the diagnoses.
    for name, count in COUNTS.items():
        assert (labels[split == "test"] == name).sum() == pytest.approx(0.2 * count, abs=3)


@pytest.mark.real
def test_the_real_sample_loads(shared):
    """All 100 originals load with their masks, 600 × 450, and every lesion is inside its image."""
    records = [r for r in read_records("ham10000", shared / "data/ham10000") if r.image.is_file()]
    assert len(records) == 100
    for record in records[::10]:
        _, masks, shape, _ = load_pair(record, 64)
        assert shape == (450, 600) and 0 < masks[0].mean() < 0.95
