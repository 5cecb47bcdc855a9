"""Phantom findings: pure, exact, multi-label, with a marker that predicts one class only."""

import numpy as np
import pytest
from PIL import Image

from segxai.datasets.pairs import load_pair
from segxai.datasets.phantom_findings import generate
from segxai.datasets.phantoms import radiographs as findings
from segxai.datasets.phantoms.radiographs import CLASSES, phantom_findings
from segxai.datasets.reading import read_records
from segxai.images.load import load_image
from segxai.job.log import InputError

SIZE = 64
SHORTCUT = {"class": "nodule", "share": 0.5}


def dense(record) -> np.ndarray:
    """Masks of all classes (4, SIZE, SIZE)."""
    masks, none = load_pair(record, SIZE, CLASSES).masks, np.zeros((SIZE, SIZE), np.uint8)
    return np.array([masks.get(index, none) for index in range(len(CLASSES))])


@pytest.fixture(scope="module")
def sample():
    """Return images, masks and markers of 300 phantoms, half of the nodules marked."""
    drawn = (phantom_findings(index, SIZE, 0, SHORTCUT) for index in range(300))
    return [np.stack(arrays) for arrays in zip(*drawn, strict=True)]


def test_image_is_a_pure_function_of_its_arguments(sample):
    """Drawing an image again, in reverse order, gives the same arrays; another seed others."""
    for index in reversed(range(5)):
        again = phantom_findings(index, SIZE, 0, SHORTCUT)
        for array, before in zip(again, sample, strict=True):
            np.testing.assert_array_equal(array, before[index])
        assert (phantom_findings(index, SIZE, 1, SHORTCUT)[0] != again[0]).any()


def test_types_and_ranges(sample):
    """Images are uint8 over most of the range, masks are boolean, one per class."""
    images, masks, markers = sample
    assert images.dtype == np.uint8 and images.shape == (300, SIZE, SIZE)
    assert masks.dtype == bool and masks.shape == (300, 4, SIZE, SIZE)
    assert markers.dtype == bool and markers.shape == (300, SIZE, SIZE)
    assert images.min() < 20 and images.max() > 240


def test_classes_are_frequent_and_some_images_show_none(sample):
    """Each class is in 20–45 % of images, 15–35 % show none, and some show three."""
    shown = sample[1].any(axis=(2, 3))
    assert all(0.2 < share < 0.45 for share in shown.mean(0))
    assert 0.15 < (shown.sum(1) == 0).mean() < 0.35
    assert shown.sum(1).max() == 3
    area = sample[1].sum(axis=(2, 3))[shown] / SIZE**2
    assert area.min() > 0.004 and area.max() < 0.25


def test_findings_and_marker_never_overlap(sample):
    """No pixel belongs to two classes, none to a finding and the marker."""
    masks, markers = sample[1:]
    assert masks.sum(axis=1).max() == 1
    assert markers.any() and not (masks.any(axis=1) & markers).any()


def test_masks_are_exactly_where_findings_change_the_image(sample, monkeypatch):
    """Without findings and marker the same phantom differs inside their masks only."""
    nothing = np.zeros((SIZE, SIZE)), np.zeros((4, SIZE, SIZE), bool)
    monkeypatch.setattr(findings, "findings", lambda rng, size: nothing)
    for index in range(40):
        image, masks, marker = (array[index] for array in sample)
        bare, _, unmarked = phantom_findings(index, SIZE, 0, SHORTCUT)
        changed = image != bare
        assert not changed[~(masks.any(axis=0) | marker)].any() and not unmarked.any()
        assert all(changed[mask].mean() > 0.8 for mask in masks if mask.any())


def test_marker_predicts_the_class(sample):
    """Half of the images with the class show the marker, no other image does."""
    marked, nodule = sample[2].any(axis=(1, 2)), sample[1][:, CLASSES.index("nodule")].any((1, 2))
    assert not marked[~nodule].any()
    assert 0.35 < marked[nodule].mean() < 0.65


def test_marker_changes_nothing_else(sample):
    """With and without the shortcut an image is the same outside the marker's mask."""
    for index in np.flatnonzero(sample[2].any(axis=(1, 2)))[:10]:
        plain, masks, marker = phantom_findings(index, SIZE)
        changed = plain != sample[0][index]
        assert changed.any() and not changed[~sample[2][index]].any()
        assert not marker.any()
        np.testing.assert_array_equal(masks, sample[1][index])


@pytest.mark.parametrize("name", CLASSES)
def test_share_of_one_marks_all_of_the_class(name):
    """Share 1 marks all images of the class, share 0 none, and a larger share adds markers."""
    marked = {}
    for share in (0, 0.2, 0.8, 1):
        drawn = [phantom_findings(i, 32, 0, {"class": name, "share": share}) for i in range(80)]
        marked[share] = np.array([marker.any() for _, _, marker in drawn])
    shown = np.array([masks[CLASSES.index(name)].any() for _, masks, _ in drawn])
    assert not marked[0].any() and (marked[1] == shown).all()
    assert (marked[0.2] <= marked[0.8]).all() and marked[0.2].sum() < marked[0.8].sum()


def test_marker_is_in_every_corner_and_reads_upright(sample):
    """The letter is bright, 7 % of the side, and the same upright picture in each corner."""
    letters = {}
    for image, marker in zip(sample[0], sample[2], strict=True):
        if marker.any():
            y, x = np.nonzero(marker)
            corner = (y.min() > SIZE // 2, x.min() > SIZE // 2)
            letters[corner] = image[y.min() : y.max() + 1, x.min() : x.max() + 1] == 250
            assert np.ptp(y) == np.ptp(x) and np.ptp(x) + 1 == pytest.approx(0.07 * SIZE, abs=1)
    assert len(letters) == 4
    for letter in letters.values():
        # An R: more lead above than below, more on the left than on the right.
        half = len(letter) // 2
        assert letter[:half].sum() > letter[-half:].sum()
        assert letter[:, :half].sum() > letter[:, -half:].sum()


def test_written_files_read_back(tmp_path):
    """The reader finds the arrays unchanged: images, masks by class, labels, markers."""
    generate(tmp_path, 12, SIZE, seed=5, shortcut={"class": "cyst", "share": 1})
    records = read_records("phantom_findings", tmp_path)
    assert [record.image_id for record in records] == [f"finding-{i:04d}" for i in range(12)]
    for index, record in enumerate(records):
        image, masks, marker = phantom_findings(index, SIZE, 5, {"class": "cyst", "share": 1})
        np.testing.assert_array_equal(load_image(record.image)[..., 0], image)
        np.testing.assert_array_equal(dense(record), masks)
        shown = {name for name, mask in zip(CLASSES, masks, strict=True) if mask.any()}
        assert record.labels == shown
        assert record.label == (" + ".join(sorted(shown)) or "no finding")
        assert (record.marker is not None) == marker.any() == ("cyst" in shown)
        if record.marker:
            np.testing.assert_array_equal(np.asarray(Image.open(record.marker)) == 255, marker)
    assert not list(tmp_path.rglob(".*"))


def test_bad_shortcut_and_labels_are_one_sentence(tmp_path):
    """An unknown class, a label that is not 0 or 1, and a missing mask name what to change."""
    with pytest.raises(InputError, match="`source: shortcut: class` is 'polyp'"):
        generate(tmp_path, 1, SIZE, shortcut={"class": "polyp", "share": 1})
    generate(tmp_path, 6, SIZE)
    shown = next(r for r in read_records("phantom_findings", tmp_path) if r.findings)
    shown.findings[0].outline.unlink()
    with pytest.raises(InputError, match=rf"{shown.image_id}\.png: no such file"):
        load_pair(shown, SIZE, CLASSES)
    table = tmp_path / "labels.csv"
    text = table.read_text()
    table.write_text(text.replace("finding-0002,", "finding-0002,yes", 1))
    with pytest.raises(InputError, match=r"labels\.csv: line 4 holds more than 0 and 1"):
        read_records("phantom_findings", tmp_path)
    table.write_text(text + text.splitlines()[-1])
    with pytest.raises(InputError, match=r"labels\.csv: lines 7 and 8 are both of 'finding-0005'"):
        read_records("phantom_findings", tmp_path)
