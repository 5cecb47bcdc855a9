"""CBIS-DDSM: the real tables' counts, every layout on disk, masks recognised by pixels."""

import hashlib
import re
import runpy
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segxai.datasets.pairs import load_pair
from segxai.datasets.reading import read_records
from segxai.datasets.record import Record
from segxai.datasets.samples import select_records
from segxai.datasets.splits import split_images
from segxai.images.load import find_mask
from segxai.job.files import read_rows
from segxai.job.log import InputError
from tests.unit.dicoms import write_dicom

SHAPE = (96, 64)
HEADER = (
    "patient_id,{},left or right breast,image view,abnormality id,abnormality type,assessment,"
    "pathology,subtlety,image file path,cropped image file path,ROI mask file path"
)
# Table, patient, view, lesions (number, pathology, how mask and crop lie in their series).
CASES = [
    ("mass_train", "P_00001", "LEFT_CC", [(1, "BENIGN_WITHOUT_CALLBACK", "mask first")]),
    (
        "mass_train",
        "P_00001",
        "LEFT_MLO",
        [(1, "BENIGN", "mask first"), (2, "MALIGNANT", "mask last")],
    ),
    ("mass_train", "P_00002", "RIGHT_CC", [(1, "BENIGN", "apart")]),
    ("mass_train", "P_00004", "RIGHT_CC", [(1, "MALIGNANT", "apart, names swapped")]),
    ("mass_test", "P_00003", "LEFT_CC", [(1, "MALIGNANT", "mask last")]),
    ("calc_train", "P_00003", "LEFT_CC", [(1, "MALIGNANT", "mask first")]),
    ("calc_train", "P_00005", "LEFT_CC", [(1, "BENIGN", "mask first")]),
    ("calc_test", "P_00006", "LEFT_CC", [(1, "BENIGN", "mask first")]),
]
NAMES = {"mass": "Mass", "calc": "Calc", "train": "Training", "test": "Test"}


def uid(*key):
    """Make an identifier like the published ones, the same for the same key."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).hexdigest()
    return f"1.3.6.1.4.1.9590.100.1.2.{int(digest[:30], 16)}"


def lesion_mask(number):
    """Mask of lesion 1 or 2: a rectangle of 24 × 16 pixels."""
    mask = np.zeros(SHAPE, np.uint8)
    mask[16 * number : 16 * number + 24, 32 * number - 16 : 32 * number] = 255
    return mask


def grey(shape, seed):
    """Make a smooth image with values between 60 and 180, of 8 bits."""
    small = np.random.default_rng(seed).integers(60, 180, (4, 4), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize(shape[::-1], Image.Resampling.BILINEAR))


def case_series():
    """Rows of each table, and the files of each series with the DICOM PatientID."""
    tables, series = {}, {}
    for table, patient, view, lesions in CASES:
        kind, side = table.split("_")
        name = f"{NAMES[kind]}-{NAMES[side]}_{patient}_{view}"
        full = uid(name, "full")
        series[full] = (name, [grey(SHAPE, len(series))])
        for number, pathology, how in lesions:
            part, study = f"{name}_{number}", uid(name, number, "study")
            mask, crop = lesion_mask(number), grey((24, 16), number)
            roi = cropped = uid(name, number, "roi")
            files = [mask, crop] if how == "mask first" else [crop, mask]
            if how.startswith("apart"):
                cropped = uid(name, number, "crop")
                files, other = ([mask], [crop]) if how == "apart" else ([crop], [mask])
                series[cropped] = (part, other)
            series[roi] = (part, files)
            paths = [
                f"{name}/{uid(name, 'study')}/{full}/000000.dcm",
                f'"{part}/{study}/{cropped}/000000.dcm\n"',
                f'"{part}/{study}/{roi}/000001.dcm\n"',
            ]
            row = f"{patient},3,LEFT,CC,{number},{kind},4,{pathology},4,{','.join(paths)}"
            tables.setdefault(table, []).append(row)
    return tables, series


def write_tables(folder):
    """Write the four case tables, with their different headers and quoted line breaks."""
    folder.mkdir(parents=True, exist_ok=True)
    for table, rows in case_series()[0].items():
        kind, side = table.split("_")
        header = HEADER.format("breast_density" if kind == "mass" else "breast density")
        path = folder / f"{kind}_case_description_{side}_set.csv"
        path.write_text("\n".join([header, *rows]) + "\n")


def as_idc(folder):
    """The bucket of the Imaging Data Commons: folders by series, files by instance."""
    for name, (_, files) in case_series()[1].items():
        for number, pixels in enumerate(files):
            write_dicom(folder / name / f"{number}b14e7-eeb0.dcm", pixels, SeriesInstanceUID=name)


def as_idc_index(folder):
    """The tree that `idc download` makes by default."""
    for name, (patient, files) in case_series()[1].items():
        place = folder / "cbis_ddsm" / patient / uid(patient, "study") / f"MG_{name}"
        for number, pixels in enumerate(files):
            write_dicom(place / f"{number}b14e7-eeb0.dcm", pixels)


def as_tcia(folder):
    """The tree that the tables describe."""
    for name, (patient, files) in case_series()[1].items():
        place = folder / "CBIS-DDSM" / patient / uid(patient, "study") / name
        for number, pixels in enumerate(files):
            write_dicom(place / f"{number:06d}.dcm", pixels)


def as_nbia(folder):
    """The tree of TCIA's newer downloader, which names folders by date and description."""
    for count, (name, (patient, files)) in enumerate(case_series()[1].items()):
        study = folder / "manifest-1" / "CBIS-DDSM" / patient / f"07-20-2016-DDSM-NA-{count}"
        place = study / f"1.000000-ROI mask images-{count}"
        for number, pixels in enumerate(files, 1):
            write_dicom(place / f"1-{number}.dcm", pixels, SeriesInstanceUID=name)
        (place / "._1-1.dcm").touch()
    (folder / "manifest-1" / "LICENSE").touch()


def as_kaggle(folder):
    """The JPEG copy, whose masks are lossy."""
    for count, (name, (_, files)) in enumerate(case_series()[1].items()):
        place = folder / "jpeg" / name
        place.mkdir(parents=True)
        for number, pixels in enumerate(files, 1):
            Image.fromarray(pixels).save(place / f"{number}-{count:03d}.jpg", quality=75)


@pytest.fixture
def tables(tmp_path):
    """Write the tables only: nothing is downloaded yet."""
    write_tables(tmp_path)
    return tmp_path


@pytest.fixture
def cbis(tables):
    """Write tables and images as the Imaging Data Commons lays them out."""
    as_idc(tables)
    return tables


def by_name(folder, options=None):
    return {record.image_id: record for record in read_records("cbis_ddsm", folder, options)}


def test_records_follow_the_tables(tables):
    """Names, labels, patients and sides, before any image is there; paths end in series."""
    records = list(by_name(tables).values())
    assert [record.image_id for record in records] == [
        "Mass-Training_P_00001_LEFT_CC",
        "Mass-Training_P_00001_LEFT_MLO",
        "Mass-Training_P_00002_RIGHT_CC",
        "Mass-Training_P_00004_RIGHT_CC",
        "Mass-Test_P_00003_LEFT_CC",
    ]
    kinds = ["benign", "malignant", "benign", "malignant", "malignant"]
    assert [record.label for record in records] == kinds
    assert [record.group[-1] for record in records] == ["1", "1", "2", "4", "3"]
    assert [record.split for record in records] == ["train"] * 4 + ["test"]
    assert [record.lesions for record in records] == [1, 2, 1, 1, 1]
    for record in records:
        assert record.image == tables / uid(record.image_id, "full")
        rois = [tables / uid(record.image_id, n + 1, "roi") for n in range(record.lesions)]
        assert list(record.mask[: record.lesions]) == rois
    assert [len(record.mask) for record in records] == [1, 2, 2, 2, 1]
    assert len(by_name(tables, {"abnormalities": "calc"})) == 3
    assert len(by_name(tables, {"abnormalities": "both"})) == 8


@pytest.mark.parametrize("layout", [as_idc, as_idc_index, as_tcia, as_nbia, as_kaggle])
def test_every_layout_gives_the_same_masks(tmp_path, layout):
    """For any folders, formats, orders and names, the lesions' masks are recognised and joined."""
    write_tables(tmp_path / "csv" if layout is as_kaggle else tmp_path)
    layout(tmp_path)
    records = read_records("cbis_ddsm", tmp_path, {"abnormalities": "both"})
    assert len(records) == 8
    for record in records:
        pair = load_pair(record, 96)
        expected = lesion_mask(1) | (lesion_mask(2) if record.lesions == 2 else 0)
        expected = np.asarray(Image.fromarray(expected).resize((96, 96), Image.Resampling.BOX))
        np.testing.assert_array_equal(pair.masks[0], expected > 127)
        assert pair.shape == SHAPE and not pair.resized
        assert 50 < pair.image.mean() < 190


def test_masks_of_another_size_are_refused_or_resized(cbis):
    """A mask of two thirds of the image's size is refused with both sizes, or stretched over it."""
    record = by_name(cbis)["Mass-Training_P_00001_LEFT_MLO"]
    files = sorted(record.mask[1].iterdir())
    small = np.zeros((64, 44), np.uint8)
    small[:32, :22] = 255
    write_dicom(files[1], small)
    with pytest.raises(InputError, match=r"\.dcm: is 44×64 pixels but its image 64×96"):
        load_pair(record, 96)
    _, masks, shape, resized = load_pair(record, 96, mask_mismatch="resize")
    mask = masks[0]
    assert resized and shape == SHAPE
    assert mask[:48, :48].all() and not mask[48:, 48:].any() and mask.sum() == 48 * 48


def test_a_crop_of_the_images_size_is_not_a_mask(cbis):
    """The frame alone does not make a mask: grey values are passed over."""
    record = by_name(cbis)["Mass-Training_P_00001_LEFT_CC"]
    before = load_pair(record, 96).masks[0]
    write_dicom(max(record.mask[0].iterdir()), grey(SHAPE, 8))
    np.testing.assert_array_equal(load_pair(record, 96).masks[0], before)


def test_the_frame_decides_between_two_masks(cbis):
    """Of two files of two values, the one with the image's frame is the mask."""
    record = by_name(cbis)["Mass-Training_P_00001_LEFT_CC"]
    before = load_pair(record, 96).masks[0]
    write_dicom(max(record.mask[0].iterdir()), lesion_mask(2)[:50])
    pair = load_pair(record, 96, mask_mismatch="resize")
    np.testing.assert_array_equal(pair.masks[0], before)
    assert not pair.resized


def test_the_largest_image_counts_and_links_are_followed(cbis, tmp_path_factory):
    """A thumbnail beside the image is passed over, and folders may be linked."""
    linked = tmp_path_factory.mktemp("linked")
    write_tables(linked)
    (linked / "images").symlink_to(cbis)
    for table in cbis.glob("*.csv"):
        table.unlink()
    record = by_name(linked)["Mass-Training_P_00001_LEFT_CC"]
    before = load_pair(record, 96).image
    write_dicom(record.image / "0.dcm", grey((10, 10), 3))
    write_dicom(record.image / "z.dcm", grey((10, 10), 3))
    np.testing.assert_array_equal(load_pair(record, 96).image, before)


def test_a_missing_or_doubled_mask_is_named(cbis):
    """No mask, an empty one, two of one frame and an absent series are each one sentence."""
    name = "Mass-Training_P_00001_LEFT_MLO"
    record = by_name(cbis)[name]
    crop, mask = sorted(record.mask[1].iterdir())
    write_dicom(crop, lesion_mask(1))
    with pytest.raises(InputError, match=rf"{record.mask[1]}: .* 3 masks .* 2 lesions.* 2 of them"):
        load_pair(record, 96)
    for change in (lambda: write_dicom(mask, np.zeros(SHAPE, np.uint8)), mask.unlink):
        write_dicom(crop, grey((24, 16), 0))
        change()
        with pytest.raises(InputError, match=rf"{record.mask[1]}: .* 1 masks .* 2 lesions.* 0 of"):
            load_pair(record, 96)
    shutil.rmtree(record.mask[1])
    with pytest.raises(InputError, match=rf"{record.mask[1]}: no such file"):
        load_pair(by_name(cbis)[name], 96)
    for file in record.image.iterdir():
        file.unlink()
    with pytest.raises(InputError, match=rf"{record.image}: holds no image file"):
        load_pair(record, 96)


def test_plain_masks_are_joined(tmp_path):
    """Several mask files of one image, without folders, are joined and must have its frame."""
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for file, pixels in zip(files, [grey(SHAPE, 0), lesion_mask(1), lesion_mask(2)], strict=True):
        Image.fromarray(pixels).save(file)
    record = Record("a", files[0], tuple(files[1:]), "x", "a")
    assert load_pair(record, 96).masks[0].sum() == 2 * 24 * 24
    Image.fromarray(lesion_mask(2)[1:]).save(files[2])
    with pytest.raises(InputError, match=r"2\.png: is 64×95 pixels"):
        load_pair(record, 96)


def test_two_values_are_distinguished_from_grey(tmp_path):
    """A mask has two values; dark, bright and grey pictures, and those of three, are none."""
    striped = lesion_mask(1)
    striped[:9] = 128
    flat = [np.full(SHAPE, value, np.uint8) for value in (0, 128, 255)]
    for pixels in [*flat, grey(SHAPE, 1), striped]:
        assert find_mask(write_dicom(tmp_path / "a.dcm", pixels)) is None
    mask = find_mask(write_dicom(tmp_path / "a.dcm", lesion_mask(1)))
    np.testing.assert_array_equal(mask, lesion_mask(1) > 0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("MALIGNANT,4", "CANCER,4", r"train_set\.csv: has the pathology 'CANCER'"),
        (r"/000001.dcm", "", r"train_set\.csv: the ROI mask file path 'Mass-.*' does not name"),
        ("1.3.6.1", "../../etc", r"train_set\.csv: the image file path '.*' does not name"),
        (",pathology,", ",diagnosis,", r"train_set\.csv: has no column 'pathology'"),
        (
            "Training_P_00002_RIGHT_CC/",
            "Training_P_00001_LEFT_CC/",
            "is called 'Mass-.*, and so is",
        ),
    ],
)
def test_a_damaged_table_is_one_sentence(tables, old, new, reason):
    """Unknown pathology, paths without series, missing columns and repeated names are reported."""
    table = tables / "mass_case_description_train_set.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InputError, match=reason) as error:
        read_records("cbis_ddsm", tables)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_missing_tables_doubled_series_and_bad_headers_are_named(cbis):
    """Each is one sentence with the file: table, second copy, header that cannot be read."""
    name = uid("Mass-Training_P_00001_LEFT_CC", "full")
    shutil.copytree(cbis / name, cbis / "copy" / name)
    with pytest.raises(InputError, match=rf"{name}: is the same series as .*{name}"):
        read_records("cbis_ddsm", cbis)
    (cbis / "copy" / name).rename(cbis / "copy" / "1.000000-full")
    for file in (cbis / "copy" / "1.000000-full").iterdir():
        file.write_bytes(file.read_bytes()[:140])
    with pytest.raises(InputError, match=r"1\.000000-full/.*\.dcm: its header cannot be read"):
        read_records("cbis_ddsm", cbis)
    shutil.rmtree(cbis / "copy")
    (cbis / "mass_case_description_test_set.csv").unlink()
    with pytest.raises(InputError, match=r"mass_case_description_test_set\.csv: no such file"):
        read_records("cbis_ddsm", cbis)


def test_official_sides_are_kept_and_patients_stay_together(tables):
    """Published test images are tested; validation comes from training; a patient is on one side.

    P_00003 has masses in the test set and calcifications in the training set: tested.
    """
    split = {"by": "official", "validation": 1, "seed": 1}
    records, sides = select_records(
        list(by_name(tables, {"abnormalities": "both"}).values()), None, split
    )
    side_of = {record.image_id: side for record, side in zip(records, sides, strict=True)}
    assert Counter(sides.tolist()) == {"train": 4, "validation": 1, "test": 3}
    assert {name for name, side in side_of.items() if side == "test"} == {
        "Mass-Test_P_00003_LEFT_CC",
        "Calc-Training_P_00003_LEFT_CC",
        "Calc-Test_P_00006_LEFT_CC",
    }


@pytest.mark.parametrize(
    ("official", "changes", "reason"),
    [
        ([None] * 6, {}, "choose `group` or `image`"),
        (["train"] * 4 + ["test"] * 2, {"test": 2}, "`split: test` of the data set is 2"),
        (["train"] * 4 + ["test"] * 2, {"validation": 4}, "4 validation images of the 4"),
        (["test"] * 6, {}, "1 validation images of the 0"),
    ],
)
def test_impossible_official_splits_are_refused(official, changes, reason):
    """No published split, a second test set and a training set used up are each one sentence."""
    settings = {"validation": 1, "seed": 1, "by": "official", "official": official} | changes
    with pytest.raises(InputError, match=reason):
        split_images(list("abcdef"), ["x"] * 6, **settings)


def prepare(checkout, tmp_path, folder, **changes):
    """Run fetch_dataset and prepare_dataset on a copy on disk; return the output folder."""
    main = {
        name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]
        for name in ("fetch_dataset", "prepare_dataset")
    }
    receipt, out = tmp_path / "raw" / "cbis.json", tmp_path / "data"
    main["fetch_dataset"](reader="cbis_ddsm", path=str(folder), source=None, receipt=receipt)
    files = {"samples": "samples.csv", "images": "images.npy", "truth": "masks.npy"}
    files |= {"outlines": "masks.csv", "rejected": "rejected.csv"}
    settings = {"max_rejected": 0, "max_images": None, "mask_mismatch": "resize", "threads": 2}
    settings["split"] = {"by": "official", "validation": 1, "seed": 1}
    main["prepare_dataset"](
        receipt=receipt,
        reader="cbis_ddsm",
        classes=["benign", "malignant"],
        analysis_size=64,
        **settings | changes,
        **{name: out / file for name, file in files.items()},
    )
    return out


def test_the_data_stage_flags_and_rejects(checkout, tmp_path, caplog):
    """Resized masks are flagged, absent images named, moved images counted in the log."""
    write_tables(tmp_path / "cbis")
    as_idc(tmp_path / "cbis")
    records = by_name(tmp_path / "cbis", {"abnormalities": "both"})
    mask = min(records["Mass-Training_P_00001_LEFT_CC"].mask[0].iterdir())
    write_dicom(mask, lesion_mask(1)[:, :60])
    shutil.rmtree(records["Mass-Test_P_00003_LEFT_CC"].image)
    caplog.set_level("INFO", logger="segxai")
    settings = {"options": {"abnormalities": "both"}, "max_rejected": 1}
    out = prepare(checkout, tmp_path, tmp_path / "cbis", **settings)
    samples = read_rows(out / "samples.csv")
    assert list(samples)[-2:] == ["mask_pixels", "mask_resized"]
    assert samples.image_id[samples.mask_resized == 1].tolist() == ["Mass-Training_P_00001_LEFT_CC"]
    assert len(samples) == 7 and (samples.mask_pixels > 0).all()
    assert samples.split.value_counts().to_dict() == {"train": 4, "test": 2, "validation": 1}
    series = uid("Mass-Test_P_00003_LEFT_CC", "full")
    rejected = pd.read_csv(out / "rejected.csv")
    assert rejected.file.tolist() == [series]
    assert rejected.reason[0].startswith(f"{series}: no such file")
    assert "1 training images of patients on both official sides are tested" in caplog.text
    assert (tmp_path / "raw" / "cbis.json").read_text().count('"n_images": 4') == 1
    with pytest.raises(InputError, match="is 60×96 pixels but its image 64×96"):
        prepare(checkout, tmp_path, tmp_path / "cbis", **settings | {"mask_mismatch": "drop"})


REAL = {  # table: images, patients, lesions, benign, malignant images
    ("mass", "train"): (1231, 691, 1318, 629, 602),
    ("mass", "test"): (361, 201, 378, 216, 145),
    ("calc", "train"): (1227, 602, 1546, 718, 509),
    ("calc", "test"): (284, 151, 326, 165, 119),
}


@pytest.fixture(scope="session")
def published(shared):
    """Return the folder of the four real tables."""
    return shared / "facts/metadata/cbis_ddsm"


@pytest.mark.real
@pytest.mark.parametrize(("kind", "side"), REAL)
def test_counts_are_the_published_ones(published, kind, side):
    """Every row of the real tables is read: images, patients, lesions and labels."""
    records = read_records("cbis_ddsm", published, {"abnormalities": kind})
    records = [record for record in records if record.split == side]
    labels = Counter(record.label for record in records)
    lesions, patients = sum(r.lesions for r in records), len({r.group for r in records})
    counts = (len(records), patients, lesions, labels["benign"], labels["malignant"])
    assert counts == REAL[kind, side]


@pytest.mark.real
def test_real_series_are_those_of_the_data_commons(published):
    """All 6,775 series of the collection are listed, each once, under their patients' names."""
    table = pd.read_csv(published / "idc_v25_cbis_ddsm_series.csv").set_index("SeriesInstanceUID")
    records = read_records("cbis_ddsm", published, {"abnormalities": "both"})
    listed = Counter(path.name for record in records for path in (record.image, *record.mask))
    assert set(listed) == set(table.index) and set(listed.values()) == {1}
    # Some PatientIDs lack the prefix that the tables have.
    for record in records:
        patient = table.PatientID[record.image.name].removesuffix(".dcm")
        assert record.image_id.endswith(patient)


@pytest.mark.real
def test_real_patients_on_both_sides_are_tested(published):
    """31 patients cross: 64 of their images move to test, and nobody is on two sides then."""
    records = read_records("cbis_ddsm", published, {"abnormalities": "both"})
    split = {"by": "official", "validation": 200, "seed": 1}
    _, sides = select_records(records, None, split)
    assert Counter(sides.tolist()) == {"train": 2194, "validation": 200, "test": 709}
    moved = [
        r for r, side in zip(records, sides, strict=True) if r.split == "train" and side == "test"
    ]
    assert len(moved) == 64 and len({record.group for record in moved}) == 31
    on = {(record.group, side) for record, side in zip(records, sides, strict=True)}
    assert len(on) == len({record.group for record in records}) == 1566


@pytest.mark.real
def test_masses_keep_the_official_split(published):
    """With masses alone nothing moves, and validation has its number, patients apart."""
    records = read_records("cbis_ddsm", published)
    _, sides = select_records(records, None, {"by": "official", "validation": 123, "seed": 1})
    assert Counter(sides.tolist()) == {"train": 1108, "validation": 123, "test": 361}
    labels = np.array([record.label for record in records])
    assert (labels[sides == "validation"] == "malignant").sum() == pytest.approx(60, abs=2)


@pytest.fixture
def real_sample(shared, tmp_path):
    """Arrange the full-resolution JPEGs, their masks and DICOM crops as the copy on Kaggle is."""
    source = shared / "data/cbis-ddsm"
    shutil.copytree(source / "csv", tmp_path / "csv")
    records = by_name(tmp_path)
    for image in sorted(source.glob("fullres/CBIS-JPG/TRAIN/IMAGES/*.jpg")):
        record = records[f"Mass-Training_P_{image.stem}"]
        places = {"IMAGES": record.image.name, "MASKS": record.mask[0].name}
        places["CROPS"] = record.mask[-1].name
        for part, series in places.items():
            (tmp_path / "jpeg" / series).mkdir(parents=True, exist_ok=True)
            file = next(image.parents[1].glob(f"{part}/{image.stem}*"))
            shutil.copyfile(file, tmp_path / "jpeg" / series / f"{part.lower()}.jpg")
    return tmp_path


@pytest.mark.real
def test_real_masks_lie_in_real_breasts(real_sample):
    """Three full-resolution images: two masks of another size, all on tissue brighter than air."""
    resized = {}
    for record in read_records("cbis_ddsm", real_sample):
        if record.image.exists():
            pair = load_pair(record, 448, mask_mismatch="resize")
            resized[record.image_id[-14:]] = pair.resized
            assert 0.0005 < pair.masks[0].mean() < 0.1
            inside = pair.image[pair.masks[0] == 1].mean()
            assert inside > 1.3 * pair.image.mean()
    assert resized == {"00694_RIGHT_CC": True, "0694_RIGHT_MLO": True, "00695_RIGHT_CC": False}


@pytest.mark.real
def test_real_crops_are_not_masks_and_match_their_headers(shared, tmp_path):
    """DICOM crops are identified by their headers, in folders of any name, and rejected alone.

    One of them is the file that the table calls a mask.
    """
    source = shared / "data/cbis-ddsm"
    shutil.copytree(source / "csv", tmp_path / "csv")
    for number, crop in enumerate(sorted(source.rglob("*.dcm"))):
        (tmp_path / f"1.000000-{number}").mkdir()
        shutil.copyfile(crop, tmp_path / f"1.000000-{number}" / "1-1.dcm")
    records = by_name(tmp_path, {"abnormalities": "both"})
    identified = {name: [p for p in r.mask if p.exists()] for name, r in records.items()}
    identified = {name: paths for name, paths in identified.items() if paths}
    assert {re.search(r"P_.*", name)[0] for name in identified} == {
        "P_00474_LEFT_MLO",
        "P_00694_RIGHT_CC",
        "P_00694_RIGHT_MLO",
        "P_00695_RIGHT_CC",
    }
    swapped = records["Calc-Training_P_00474_LEFT_MLO"]
    assert swapped.mask[0] == identified[swapped.image_id][0] and len(swapped.mask) == 2
    for name, paths in identified.items():
        record = Record(name, paths[0], (paths[0],), "benign", "a")
        with pytest.raises(InputError, match=r"the image has 0 masks .* for 1 lesions"):
            load_pair(record, 64)
