"""Readers list what lies on disk; the data stage turns it into the arrays of the contract."""

import hashlib
import json
import runpy
import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from segxai.datasets import reading
from segxai.datasets.patches import window_means
from segxai.datasets.phantoms.radiographs import phantom_findings
from segxai.datasets.reading import read_records
from segxai.datasets.record import Record
from segxai.datasets.samples import label_matrix
from segxai.datasets.splits import split_by_group
from segxai.images.load import load_mask, resize_mask
from segxai.images.masks import mask_rows, read_masks
from segxai.job.files import read_rows
from segxai.job.log import InputError


@pytest.fixture
def script(checkout):
    """Return a function that gives the `main` of a script."""
    return lambda name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


@pytest.fixture
def lesions(tmp_path):
    """Write twelve images with masks and labels in the layout of the phantoms."""
    folder = tmp_path / "originals"
    rng = np.random.default_rng(0)
    rows = []
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i in range(12):
        image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        mask = np.zeros((20, 30), np.uint8)
        mask[: i % 3 * 10, :15] = 255
        Image.fromarray(image).save(folder / "images" / f"{i:04d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i:04d}.png")
        rows.append((f"{i:04d}", "lesion" if mask.any() else "background"))
    pd.DataFrame(rows, columns=["image_id", "label"]).to_csv(folder / "labels.csv", index=False)
    return folder


def fetch(script, tmp_path, folder):
    receipt = tmp_path / "results" / "raw" / "lesions.json"
    script("fetch_dataset")(
        reader="phantom_lesions", path=str(folder), source=None, receipt=receipt
    )
    return receipt


def prepare(script, tmp_path, folder, **changes):
    """Run fetch_dataset and prepare_dataset on a copy on disk; return the output folder."""
    receipt = fetch(script, tmp_path, folder)
    out = tmp_path / "results" / "data"
    settings = {"analysis_size": 16, "max_images": None, "max_rejected": 0, "threads": 2}
    settings["classes"] = ["background", "lesion"]
    names = {"samples": "samples.csv", "images": "images.npy", "truth": "masks.npy"}
    names |= {"outlines": "masks.csv", "rejected": "rejected.csv"}
    script("prepare_dataset")(
        receipt=receipt,
        reader="phantom_lesions",
        split={"validation": 4, "seed": 1},
        **settings | changes,
        **{name: out / file for name, file in names.items()},
    )
    return out


def opened(out, samples):
    """Open the masks of a prepared data set."""
    return read_masks(out / "masks.npy", out / "masks.csv", samples)


def test_prepared_arrays_follow_the_table(script, tmp_path, lesions):
    """Rows, arrays and originals agree: identifiers as text, sizes, labels, mask pixels."""
    out = prepare(script, tmp_path, lesions)
    samples = read_rows(out / "samples.csv")
    images = np.load(out / "images.npy", allow_pickle=False)
    masks = np.stack(list(opened(out, samples)))
    assert list(samples) == [
        "image_id",
        "source",
        "height",
        "width",
        "group",
        "split",
        "label",
        "mask_pixels",
        "mask_resized",
    ]
    assert samples.image_id.tolist() == [f"{i:04d}" for i in range(12)]
    assert samples.source[3] == "images/0003.png"
    assert (samples.height == 20).all() and (samples.width == 30).all()
    assert images.shape == (12, 16, 16, 3) and images.dtype == np.uint8
    assert masks.shape == (12, 16, 16) and set(np.unique(masks)) == {0, 1}
    assert samples.mask_pixels.tolist() == masks.sum(axis=(1, 2)).tolist() == [0, 64, 128] * 4
    assert samples.label.tolist() == ["background", "lesion", "lesion"] * 4
    assert samples.split.value_counts().to_dict() == {"train": 8, "validation": 4}
    assert len(pd.read_csv(out / "rejected.csv")) == 0


def test_threads_do_not_change_the_arrays(script, tmp_path, lesions):
    """One thread and three write the same bytes."""
    first = {
        path.name: path.read_bytes()
        for path in prepare(script, tmp_path, lesions, threads=1).iterdir()
    }
    again = prepare(script, tmp_path, lesions, threads=3)
    assert {path.name: path.read_bytes() for path in again.iterdir()} == first


def spoil(folder):
    """Damage four images in four ways; return the file and the expected reason of each."""
    (folder / "images" / "0001.png").write_bytes(b"")
    (folder / "masks" / "0004.png").unlink()
    Image.new("L", (30, 21)).save(folder / "masks" / "0006.png")
    path = folder / "images" / "0009.png"
    path.write_bytes(path.read_bytes()[:300])
    return {
        "images/0001.png": "images/0001.png: is empty",
        "images/0004.png": "masks/0004.png: no such file",
        "images/0006.png": "masks/0006.png: is 30×21 pixels but its image 30×20",
        "images/0009.png": "images/0009.png: cannot be read",
    }


def test_bad_files_are_listed_with_reasons(script, tmp_path, lesions):
    """Rejected images are named with their reasons, the others keep their place and split."""
    whole = read_rows(prepare(script, tmp_path, lesions) / "samples.csv").set_index("image_id")
    expected = spoil(lesions)
    out = prepare(script, tmp_path, lesions, max_rejected=4)
    rejected = pd.read_csv(out / "rejected.csv").set_index("file").reason
    assert list(rejected.index) == list(expected)
    for file, reason in expected.items():
        assert rejected[file].startswith(reason)
    samples = read_rows(out / "samples.csv").set_index("image_id")
    pd.testing.assert_frame_equal(samples, whole.loc[samples.index])
    masks = opened(out, samples)
    assert [int(mask.sum()) for mask in masks] == samples.mask_pixels.tolist()


def test_too_many_bad_files_stop_the_run(script, tmp_path, lesions):
    """One more than `max_rejected` is one sentence, and nothing is half-written."""
    spoil(lesions)
    with pytest.raises(InputError, match=r"0001\.png: is empty.*4 images.*max_rejected.*allows 3"):
        prepare(script, tmp_path, lesions, max_rejected=3)
    assert not list((tmp_path / "results" / "data").iterdir())


def test_subset_keeps_sides_and_share(script, tmp_path, lesions):
    """`max_images` keeps a third of the images in validation, each on its side as before."""
    whole = read_rows(prepare(script, tmp_path, lesions) / "samples.csv").set_index("image_id")
    subset = read_rows(prepare(script, tmp_path, lesions, max_images=6) / "samples.csv")
    assert subset.split.value_counts().to_dict() == {"train": 4, "validation": 2}
    assert subset.split.tolist() == whole.split.loc[subset.image_id].tolist()


def test_receipt_of_a_copy_names_it(script, tmp_path, lesions):
    """With `path`, nothing is copied or linked: the receipt names the folder and its files."""
    receipt = fetch(script, tmp_path, lesions)
    facts = json.loads(receipt.read_text())
    assert facts["path"] == facts["folder"] == str(lesions)
    assert facts["n_files"] == 25 and facts["n_images"] == 12
    assert list(receipt.parent.iterdir()) == [receipt]


def test_archive_is_downloaded_once(script, tmp_path, lesions):
    """From an archive already there, a rerun needs no network; the receipt keeps its checksum."""
    downloads = tmp_path / "raw" / "downloads"
    (downloads / "lesions").mkdir(parents=True)
    shutil.make_archive(str(downloads / "lesions" / "x"), "zip", lesions)
    content = (downloads / "lesions" / "x.zip").read_bytes()
    source = {
        "url": "http://127.0.0.1:9/x.zip",
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    receipt = tmp_path / "raw" / "lesions.json"
    script("fetch_dataset")(reader="phantom_lesions", path=None, source=source, receipt=receipt)
    assert source.items() <= json.loads(receipt.read_text()).items()
    assert (tmp_path / "raw" / "lesions" / "images" / "0011.png").is_file()


def test_phantoms_are_generated(script, tmp_path):
    """A data set without address is generated in the layout that its reader expects."""
    receipt = tmp_path / "raw" / "phantoms.json"
    script("fetch_dataset")(
        reader="phantom_lesions",
        path=None,
        source={"images": 3, "size": 32, "seed": 0},
        receipt=receipt,
    )
    records = read_records("phantom_lesions", tmp_path / "raw" / "phantoms")
    assert len(records) == 3 == json.loads(receipt.read_text())["n_images"]
    assert all(load_mask(r.mask).any() == (r.label == "lesion") for r in records)


def test_a_source_without_address_needs_a_generator(script, tmp_path):
    """A data set with neither address nor generator names the keys to add."""
    with pytest.raises(InputError, match="reader 'kvasir_seg' has no generator and `source`"):
        script("fetch_dataset")(
            reader="kvasir_seg",
            path=None,
            source={},
            receipt=tmp_path / "raw" / "kvasir.json",
        )


def test_patches_and_statistics_of_prepared_data(script, tmp_path, lesions):
    """The last two scripts write balanced windows and the statistics of the training rows."""
    out = prepare(script, tmp_path, lesions)
    script("cut_patches")(
        samples=out / "samples.csv",
        truth=out / "masks.npy",
        outlines=out / "masks.csv",
        classes=["background", "lesion"],
        grid={"grid": 2, "negative_below": 0.001},
        seed=1,
        patches=out / "patches.csv",
    )
    script("measure_statistics")(
        samples=out / "samples.csv", images=out / "images.npy", statistics=out / "statistics.json"
    )
    patches, facts = (
        read_rows(out / "patches.csv"),
        json.loads((out / "statistics.json").read_text()),
    )
    assert list(patches) == ["image_id", "y", "x", "height", "width", "label", "split"]
    counts = patches.groupby(["split", "label"]).size().unstack()
    assert (counts["background"] == counts["lesion"]).all()
    train = (read_rows(out / "samples.csv").split == "train").to_numpy()
    pixels = np.load(out / "images.npy", allow_pickle=False)[train] / 255
    np.testing.assert_allclose(facts["mean"], pixels.mean(axis=(0, 1, 2)), rtol=1e-12)
    assert facts["n_images"] == 8


def test_missing_folders_and_labels_are_one_sentence(tmp_path, lesions):
    """A missing folder, layout, label or reader is reported by name."""
    with pytest.raises(InputError, match="no such folder"):
        read_records("phantom_lesions", tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no folders 'images' and 'masks'"):
        read_records("kvasir_seg", tmp_path)
    with pytest.raises(InputError, match=r"reader 'kvasir' is unknown; choose .* kvasir_seg"):
        read_records("kvasir", lesions)
    labels = lesions / "labels.csv"
    labels.write_text(labels.read_text().replace("0005,", "5005,"))
    with pytest.raises(InputError, match=r"has no label for 0005\.png"):
        read_records("phantom_lesions", lesions)


def test_unpaired_and_doubled_files_are_noticed(lesions):
    """A mask without image is listed for rejection; two files of one name are refused."""
    (lesions / "images" / "0002.png").unlink()
    (lesions / "images" / ".DS_Store").touch()
    records = read_records("kvasir_seg", lesions)
    assert [record.image_id for record in records] == [f"{i:04d}" for i in range(12)]
    assert not records[2].image.exists()
    (lesions / "images" / "0003.jpg").touch()
    with pytest.raises(InputError, match=r"0003\.png: has the name of 0003\.jpg.*rename one"):
        read_records("kvasir_seg", lesions)


def test_unknown_labels_are_refused(script, tmp_path, lesions):
    """A label that `classes` does not list stops the run and names the key."""
    with pytest.raises(InputError, match=r"0001: its label 'lesion' is not among .*`classes`"):
        prepare(script, tmp_path, lesions, classes=["background", "polyp"])


def test_several_labels_and_masks_per_image(script, tmp_path):
    """Findings give a column and a mask per class, in the order of `classes`, and markers."""
    receipt, out = tmp_path / "raw" / "phantoms.json", tmp_path / "data"
    classes = ["opacity", "nodule", "fibrosis", "cyst"]
    source = {"images": 24, "size": 64, "seed": 0, "shortcut": {"class": "cyst", "share": 1.0}}
    script("fetch_dataset")(reader="phantom_findings", path=None, source=source, receipt=receipt)
    script("prepare_dataset")(
        receipt=receipt,
        reader="phantom_findings",
        classes=classes,
        analysis_size=64,
        max_images=None,
        max_rejected=0,
        split={"by": "image", "validation": 4, "test": 6, "seed": 1},
        threads=2,
        samples=out / "samples.csv",
        images=out / "images.npy",
        truth=out / "masks.npy",
        outlines=out / "masks.csv",
        rejected=out / "rejected.csv",
    )
    script("prepare_markers")(
        receipt=receipt,
        samples=out / "samples.csv",
        reader="phantom_findings",
        analysis_size=64,
        markers=out / "markers.npy",
    )
    samples = read_rows(out / "samples.csv")
    masks = np.stack(list(opened(out, samples)))
    markers = np.load(out / "markers.npy", allow_pickle=False)
    per_class = [f"label_{name}" for name in classes]
    assert list(samples)[6:] == ["label", *per_class, "mask_pixels", "mask_resized"]
    assert masks.shape == (24, 4, 64, 64) and masks.dtype == np.uint8
    shown = label_matrix(samples, classes)
    np.testing.assert_array_equal(shown, masks.any(axis=(2, 3)))
    np.testing.assert_array_equal(markers.any(axis=(1, 2)), shown[:, 3])
    assert samples.mask_pixels.tolist() == masks.any(axis=1).sum(axis=(1, 2)).tolist()
    assert ((samples.label == "no finding") == (samples.mask_pixels == 0)).all()
    assert samples.split.value_counts().to_dict() == {"train": 14, "test": 6, "validation": 4}
    for index, name in enumerate(samples.image_id):
        drawn, _ = phantom_findings(int(name[-4:]), 64, 0, source["shortcut"])[1:]
        np.testing.assert_array_equal(masks[index], drawn[[2, 0, 3, 1]])


class Scan(Record):
    """An image of two channels of 16 bits, whose file names its brightest value."""

    def load(self, channels):
        image = np.zeros((20, 30, len(channels)), np.uint16)
        image[..., 1] = np.arange(30) * int(self.image.stem)
        return image.astype(np.float32) if self.label == "other" else image


@pytest.fixture
def scans(tmp_path, monkeypatch):
    """Let a new reader list six scans; the second and fifth have no outline."""
    Image.fromarray(np.full((20, 30), 255, np.uint8)).save(tmp_path / "full.png")
    masks = [tmp_path / "full.png", None, (), tmp_path / "full.png", None, tmp_path / "full.png"]

    def read(folder, last="x"):
        labels = ["x"] * 5 + [last]
        return [
            Scan(f"{i}", folder / f"{i}.nii", masks[i], label, f"{i}")
            for i, label in enumerate(labels)
        ]

    reader = SimpleNamespace(read=read)
    monkeypatch.setattr(reading, "load_reader", lambda reader_name, options: (reader, options))
    receipt, out = tmp_path / "receipt.json", tmp_path / "data"
    receipt.write_text(json.dumps({"folder": str(tmp_path)}))

    def prepare_scans(script, **changes):
        settings = {"analysis_size": 16, "max_images": None, "max_rejected": 0, "threads": 2}
        settings |= {"classes": ["x", "other"], "channels": ["flair", "t1"], "receipt": receipt}
        settings |= {"split": {"validation": 2, "seed": 1}, "reader": "scans"}
        names = {"samples": "samples.csv", "images": "images.npy", "truth": "masks.npy"}
        names |= {"outlines": "masks.csv", "rejected": "rejected.csv"}
        files = {name: out / file for name, file in names.items()}
        script("prepare_dataset")(**settings | files | changes)
        return out

    return prepare_scans


def test_deep_images_and_unknown_outlines(script, scans):
    """Channels and depth of the reader are kept; an unknown outline has no area."""
    out = scans(script)
    images, samples = (
        np.load(out / "images.npy", allow_pickle=False),
        read_rows(out / "samples.csv"),
    )
    assert images.shape == (6, 16, 16, 2) and images.dtype == np.uint16
    assert images[5, ..., 1].max() > 4 * images[1, ..., 1].max() > 0
    assert samples.mask_pixels.fillna(-1).tolist() == [256, -1, 0, 256, -1, 256]
    masks = opened(out, samples)
    assert [masks.known(row, 0) for row in range(6)] == [True, False, True, True, False, True]
    assert len(np.load(out / "masks.npy", allow_pickle=False)) == 3


def test_unknown_outlines_give_no_patches(script, tmp_path):
    """Windows are cut of images with a mask, also an empty one, and not of an unknown outline."""
    full = np.ones((16, 16), np.uint8)
    samples = pd.DataFrame({"image_id": list("abcdef"), "split": ["train", "validation"] * 3})
    samples = samples.assign(label="x", mask_pixels=[256, 256, 0, 0, None, None])
    samples.to_csv(tmp_path / "samples.csv", index=False)
    with mask_rows(tmp_path / "masks.npy", tmp_path / "masks.csv", 16) as append:
        for row, mask in enumerate([full, full, 0 * full, 0 * full, None, None]):
            append(row, {0: mask})
    script("cut_patches")(
        samples=tmp_path / "samples.csv",
        truth=tmp_path / "masks.npy",
        outlines=tmp_path / "masks.csv",
        classes=["background", "x"],
        grid={"grid": 2, "negative_below": 0},
        seed=1,
        patches=tmp_path / "patches.csv",
    )
    patches = read_rows(tmp_path / "patches.csv")
    assert sorted(set(patches.image_id)) == list("abcd") and len(patches) == 16


def test_images_of_two_depths_are_reported(script, scans, tmp_path):
    """An image of another depth than those before it is rejected by its name."""
    out = scans(script, options={"last": "other"}, max_rejected=1)
    rejected = pd.read_csv(out / "rejected.csv")
    assert rejected.file.tolist() == ["5.nii"]
    assert "its pixels are float32 and those of the images before it uint16" in rejected.reason[0]


def test_markers_of_a_set_without_shortcut_are_refused(script, tmp_path, lesions):
    """A data set without a marker has no array of markers, which is reported."""
    out = prepare(script, tmp_path, lesions)
    with pytest.raises(InputError, match="no image has a marker"):
        script("prepare_markers")(
            receipt=tmp_path / "results" / "raw" / "lesions.json",
            samples=out / "samples.csv",
            reader="phantom_lesions",
            analysis_size=16,
            markers=out / "markers.npy",
        )
    assert not (out / "markers.npy").exists()


def test_labels_of_one_class_each_make_the_same_matrix():
    """Without columns of their own, labels give one class per image; "no finding" gives none."""
    samples = pd.DataFrame({"label": ["b", "a", "no finding"]})
    assert label_matrix(samples, ["a", "b"]).tolist() == [[0, 1], [1, 0], [0, 0]]


def test_several_files_are_downloaded_and_unpacked(script, tmp_path, lesions):
    """Archives get a folder of their name, other files lie beside it, SHA-256 or MD5 checked."""
    downloads = tmp_path / "raw" / "downloads" / "lesions"
    downloads.mkdir(parents=True)
    shutil.copy(lesions / "labels.csv", downloads)
    for part in ("images", "masks"):
        shutil.make_archive(str(downloads / part), "zip", lesions / part)
    files = [
        {"name": path.name, "url": f"http://127.0.0.1:9/{path.name[0]}?format=original"}
        for path in sorted(downloads.iterdir())
    ]
    for kind, file in zip(("md5", "sha256", "md5"), files, strict=True):
        content = (downloads / file["name"]).read_bytes()
        file[kind] = hashlib.new(kind, content).hexdigest()
    receipt = tmp_path / "raw" / "lesions.json"
    script("fetch_dataset")(
        reader="phantom_lesions",
        path=None,
        source={"files": files},
        receipt=receipt,
    )
    facts = json.loads(receipt.read_text())
    assert facts["files"] == files and facts["n_files"] == 25 and facts["n_images"] == 12


@pytest.fixture(scope="session")
def kvasir(shared):
    """Return the folder of the real, complete Kvasir-SEG."""
    return shared / "data" / "kvasir-seg"


@pytest.mark.real
def test_kvasir_is_listed_completely(kvasir, shared):
    """The reader lists exactly the 2,000 image files of the published checksums, byte for byte."""
    lines = (shared / "facts/metadata/kvasir_seg/kvasir_seg_files.sha256").read_text().split("\n")
    published = {name: digest for digest, name in map(str.split, filter(None, lines))}
    records = read_records("kvasir_seg", kvasir)
    assert len(records) == 1000 == len({record.image_id for record in records})
    listed = {
        path.relative_to(kvasir).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for record in records
        for path in (record.image, record.mask)
    }
    assert listed == {name: digest for name, digest in published.items() if name.endswith(".jpg")}
    assert {record.label for record in records} == {"polyp"}


@pytest.mark.real
def test_kvasir_sizes_and_boxes(kvasir):
    """Masks have the published sizes, and nearly every published box frames a mask's region."""
    boxes = json.loads((kvasir / "Kvasir-SEG" / "kavsir_bboxes.json").read_text())
    framed = []
    for record in read_records("kvasir_seg", kvasir)[::10]:
        mask, facts = load_mask(record.mask), boxes[record.image_id]
        assert mask.shape == (facts["height"], facts["width"])
        regions = ndimage.find_objects(ndimage.label(mask, np.ones((3, 3)))[0])
        edges = np.array([(x.start, y.start, x.stop, y.stop) for y, x in regions])
        for box in facts["bbox"]:
            published = [box[name] for name in ("xmin", "ymin", "xmax", "ymax")]
            framed.append(np.abs(edges - published).max(axis=1).min() <= 3)
    # The published boxes of 18 of the 1,000 images are wrong.
    assert np.mean(framed) >= 0.95


@pytest.mark.real
def test_kvasir_split_is_880_to_120(kvasir):
    """The default split has the paper's numbers of images."""
    records = read_records("kvasir_seg", kvasir)
    groups, labels = [r.group for r in records], [r.label for r in records]
    split = split_by_group(groups, labels, 120, 1)
    assert (split == "validation").sum() == 120 and (split == "train").sum() == 880


@pytest.mark.real
def test_kvasir_patches_are_near_the_papers(kvasir):
    """The masks of all images give 1,053 ± 10 windows without polyp, the paper's number."""
    records = read_records("kvasir_seg", kvasir)
    masks = np.stack([resize_mask(load_mask(record.mask), 448) for record in records])
    share = np.stack([window_means(mask, 2) for mask in masks])
    assert abs((share <= 0.001).sum() - 1053) <= 10
