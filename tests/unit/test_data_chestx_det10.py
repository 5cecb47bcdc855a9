"""ChestX-Det10: the paper's counts, outlines filled to the pixel, and damage reported by name."""

import json
import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from segxai.datasets.chestx_det10 import CLASSES
from segxai.datasets.pairs import draw, load_pair
from segxai.datasets.reading import read_records
from segxai.datasets.record import Finding, Record
from segxai.datasets.splits import split_images
from segxai.job.log import InputError

# Table 2 of the SegX paper counts boxes; images are counted from the same files.
BOXES = [340, 347, 2537, 2092, 298, 738, 661, 160, 955, 211]
IMAGES = [297, 201, 1629, 1428, 176, 499, 389, 142, 384, 189]

TRAIN = [
    {"file_name": "3.png", "syms": ["Mass", "Effusion", "Mass"], "boxes": [[2, 3, 9, 5]] * 3},
    {"file_name": "1.png", "syms": [], "boxes": []},
]
TEST = [{"file_name": "2.png", "syms": ["Nodule"], "boxes": [[0, 0, 39, 19]]}]


def dense(record, size) -> np.ndarray:
    """Masks of all classes (10, size, size)."""
    masks, none = load_pair(record, size, CLASSES).masks, np.zeros((size, size), np.uint8)
    return np.array([masks.get(index, none) for index in range(len(CLASSES))])


def write(folder, train=TRAIN, test=TEST, name="{}.json"):
    for part, entries in (("train", train), ("test", test)):
        (folder / name.format(part)).write_text(json.dumps(entries))


@pytest.fixture
def chestx(tmp_path):
    """Write three images of 40 × 20 pixels with their boxes in the published layout."""
    write(tmp_path)
    for name in ("train_data/3", "train_data/1", "test_data/2"):
        path = tmp_path / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (40, 20), 9).save(path)
    return tmp_path


def triangles(entries):
    """The same findings with a triangle for each box, and one of a class that has no box."""
    return [
        {
            "file_name": entry["file_name"],
            "syms": [*entry["syms"], "Cardiomegaly"],
            "boxes": [*entry["boxes"], [0, 0, 1, 1]],
            "polygons": [
                [[x, y], [x, b], [r, b]] for x, y, r, b in [*entry["boxes"], [0, 0, 1, 1]]
            ],
        }
        for entry in entries
    ]


def test_records_follow_the_lists(chestx):
    """Train comes before test, each in its order; labels are the classes of the boxes."""
    records = read_records("chestx_det10", chestx)
    assert [record.image_id for record in records] == ["3", "1", "2"]
    assert [record.label for record in records] == ["Effusion + Mass", "no finding", "Nodule"]
    assert [len(record.findings) for record in records] == [3, 0, 1]
    assert all(record.image.is_file() and record.group == record.image_id for record in records)


def test_boxes_become_masks_by_class(chestx):
    """A box covers its own edges; classes are kept apart, and an image without box is empty."""
    records = read_records("chestx_det10", chestx)
    expected = np.zeros((10, 20, 40), bool)
    expected[[CLASSES.index("Effusion"), CLASSES.index("Mass")], 3:6, 2:10] = True
    drawn = [draw(finding, records[0], (20, 40)) for finding in records[0].findings]
    np.testing.assert_array_equal(drawn, expected[[7, 3, 7]])
    shape, masks = load_pair(records[0], 20, CLASSES).shape, dense(records[0], 20)
    assert masks.shape == (10, 20, 20) and masks.dtype == np.uint8 and shape == (20, 40)
    np.testing.assert_array_equal(masks, expected[..., ::2])
    assert dense(records[1], 20).sum() == 0
    assert dense(records[2], 20).sum(axis=(1, 2)).tolist() == [0] * 8 + [400, 0]


def test_polygons_are_the_second_ground_truth(chestx):
    """Polygons replace the boxes, labels stay, and a class without a box is left out."""
    write(chestx, triangles(TRAIN), triangles(TEST), "ChestX_Det_{}.json")
    boxes, polygons = (
        read_records("chestx_det10", chestx, {"masks": kind}) for kind in ("boxes", "polygons")
    )
    assert [r.labels for r in polygons] == [r.labels for r in boxes]
    of_box, of_polygon = (dense(r[2], 20) for r in (boxes, polygons))
    assert not (of_polygon & ~of_box).any()
    assert 0.45 < of_polygon.sum() / of_box.sum() < 0.6


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_polygons_fill_what_a_loop_over_pixels_fills(data):
    """A filled triangle has every pixel centre inside it and none a pixel or more outside."""
    points = data.draw(st.lists(st.tuples(*[st.integers(0, 19)] * 2), min_size=3, max_size=3))
    (ax, ay), (bx, by), (cx, cy) = points
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    record = Record("r", None, None, "", "")
    mask = draw(Finding("Mass", tuple(points)), record, (20, 20))
    for y, x in np.ndindex(20, 20):
        distances = []
        for (px, py), (qx, qy) in zip(points, [*points[1:], points[0]], strict=True):
            length = np.hypot(qx - px, qy - py)
            cross = (qx - px) * (y - py) - (qy - py) * (x - px)
            distances.append(np.sign(area) * cross / max(length, 1e-9))
        if area and min(distances) >= 0:
            assert mask[y, x]
        if area and min(distances) <= -1:
            assert not mask[y, x]


@pytest.mark.parametrize(
    "box", [[-1, 0, 5, 5], [0, -1, 5, 5], [0, 0, 40, 5], [0, 3, 5, 20], [0, 0, 5, 1e999]]
)
def test_a_box_outside_the_image_is_refused(chestx, box):
    """One pixel too far on any side names the list, the class, the image and its size."""
    write(chestx, [{"file_name": "3.png", "syms": ["Mass"], "boxes": [box]}])
    record = read_records("chestx_det10", chestx)[0]
    with pytest.raises(InputError, match=r"train\.json: the outline of Mass in 3\.png .*40×20"):
        load_pair(record, 20, CLASSES)


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        ([{**TRAIN[0], "syms": ["Mass", "Masses", "Mass"]}], "3.png has the class 'Masses'"),
        ([{**TRAIN[0], "syms": ["Cardiomegaly"] * 3}], "has the class 'Cardiomegaly'"),
        ([{**TRAIN[0], "boxes": [[5, 0, 4, 9]] * 3}], "inside out"),
        ([{**TRAIN[0], "boxes": [[1, 2, 3]] * 3}], "is not a list of images"),
        ([{**TRAIN[0], "boxes": [["a", "b", "c", "d"]] * 3}], "is not a list of images"),
        ([{**TRAIN[0], "boxes": [[], [], []]}], "is not a list of images"),
        ([{**TRAIN[0], "boxes": TRAIN[0]["boxes"][:2]}], "of equal number"),
        ([{"file_name": "3.png", "syms": []}], "is not a list of images"),
        ([*TRAIN, TRAIN[0]], "lists 3.png 2 times"),
        (TRAIN + TEST, "lists 2 2 times"),
        ([], "is empty"),
        (None, "is not a list of images"),
        ({"images": 3}, "is not a list of images"),
    ],
)
def test_a_damaged_list_is_one_sentence(chestx, entries, reason):
    """Unknown classes, odd boxes, doubled images and other shapes name the file and the cure."""
    write(chestx, entries)
    with pytest.raises(InputError, match=r"train\.json.*" + reason) as error:
        read_records("chestx_det10", chestx)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_missing_and_truncated_files_are_named(chestx):
    """A truncated list, and missing lists, polygons and images are reported by name."""
    with pytest.raises(InputError, match=r"ChestX_Det_train\.json: no such file"):
        read_records("chestx_det10", chestx, {"masks": "polygons"})
    write(chestx, triangles(TRAIN)[:1], triangles(TEST), "ChestX_Det_{}.json")
    with pytest.raises(InputError, match=r"ChestX_Det_train\.json: lacks 1\.png"):
        read_records("chestx_det10", chestx, {"masks": "polygons"})
    short = triangles(TRAIN)
    short[0]["polygons"][0] = [[1, 1], [2, 2]]
    write(chestx, short, triangles(TEST), "ChestX_Det_{}.json")
    with pytest.raises(InputError, match=r"ChestX_Det_train\.json.*a polygon of 2 corners"):
        read_records("chestx_det10", chestx, {"masks": "polygons"})
    write(
        chestx,
        triangles([{**TRAIN[0], "syms": ["Mass"] * 3}, TRAIN[1]]),
        triangles(TEST),
        "ChestX_Det_{}.json",
    )
    with pytest.raises(InputError, match=r"lacks the Effusion of 3\.png"):
        read_records("chestx_det10", chestx, {"masks": "polygons"})
    path = chestx / "test.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(InputError, match=r"test\.json: .*JSON"):
        read_records("chestx_det10", chestx)
    path.unlink()
    with pytest.raises(InputError, match=r"test\.json: no such file"):
        read_records("chestx_det10", chestx)
    for image in chestx.glob("*/*.png"):
        image.unlink()
    with pytest.raises(InputError, match="has no PNG image"):
        read_records("chestx_det10", chestx)


def test_the_older_names_give_the_patient(chestx):
    """Images of one patient are a group where NIH's names are known; other boxes are refused."""
    nih = "{}_nih_names_commit_0a9d918.json"
    train = [{**e, "file_name": f"0000000{i // 2}_00{i}.png"} for i, e in enumerate(TRAIN)]
    test = [{**TEST[0], "file_name": "00000007_000.png"}]
    write(chestx, train, test, nih)
    groups = [record.group for record in read_records("chestx_det10", chestx)]
    assert groups == ["00000000", "00000000", "00000007"]
    write(chestx, train[::-1], test, nih)
    with pytest.raises(InputError, match=r"train_nih_names.*boxes differ from train\.json"):
        read_records("chestx_det10", chestx)


@pytest.fixture(scope="session")
def real_lists(shared, tmp_path_factory):
    """Return a folder with the real lists and one empty image."""
    folder = tmp_path_factory.mktemp("chestx")
    for path in (shared / "data/chestx-det10").glob("*.json"):
        shutil.copy(path, folder)
    (folder / "36199.png").touch()
    return folder


@pytest.mark.real
def test_counts_are_the_papers(real_lists):
    """Table 2 of the paper, box by box; images by class, and 764 of 3,543 without finding."""
    records = read_records("chestx_det10", real_lists)
    boxes = Counter(finding.label for record in records for finding in record.findings)
    images = Counter(label for record in records for label in record.labels)
    assert [boxes[name] for name in CLASSES] == BOXES
    assert [images[name] for name in CLASSES] == IMAGES
    assert len(records) == 3543
    assert sum(record.label == "no finding" for record in records) == 764


@pytest.mark.real
def test_polygons_keep_the_labels(real_lists):
    """Every labelled class of every image has a polygon, and no other class has one."""
    boxes, polygons = (
        read_records("chestx_det10", real_lists, {"masks": kind}) for kind in ("boxes", "polygons")
    )
    assert [record.labels for record in polygons] == [record.labels for record in boxes]


@pytest.mark.real
def test_two_thirds_of_a_split_by_image_share_a_patient(real_lists):
    """By image 476 of 709 test images show a patient of the training set; by patient none does."""
    records = read_records("chestx_det10", real_lists)
    groups, labels = (np.array([getattr(r, name) for r in records]) for name in ("group", "label"))
    assert len(set(groups)) == 1677
    for by, leaked in (("image", 476), ("group", 0)):
        split = split_images(groups, labels, 354, seed=1, test=709, by=by)
        assert pd.Series(split).value_counts().to_dict() == {
            "train": 2480,
            "test": 709,
            "validation": 354,
        }
        assert np.isin(groups[split == "test"], groups[split == "train"]).sum() == leaked


@pytest.mark.real
def test_real_images_load_whatever_their_channels(shared):
    """Grey and RGBA originals load, and polygons lie within their boxes up to a few pixels."""
    folder = shared / "data/chestx-det10"
    kinds = [
        read_records("chestx_det10", folder, {"masks": kind}) for kind in ("boxes", "polygons")
    ]
    pairs = [pair for pair in zip(*kinds, strict=True) if pair[0].image.is_file()]
    assert len(pairs) == 65 and sum(not box.findings for box, _ in pairs) == 26
    for box, polygon in pairs[::7]:
        image, _, shape, _ = load_pair(box, 128, CLASSES)
        of_box, of_polygon = dense(box, 128), dense(polygon, 128)
        assert shape == (1024, 1024) and image.std() > 20
        assert (of_polygon & ~of_box).sum() <= 0.05 * of_box.sum()
        shown = [int(name in box.labels) for name in CLASSES]
        assert of_box.any(axis=(1, 2)).astype(int).tolist() == shown
