"""Phantoms: pure, exact, varied, and with distractors independent of the label."""

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.stats import fisher_exact

from segxai.datasets import phantom_lesions
from segxai.datasets.phantom_lesions import generate
from segxai.datasets.phantoms import lesions as phantoms
from segxai.datasets.phantoms.lesions import phantom_lesion

SIZE = 64


@pytest.fixture(scope="module")
def sample():
    """Return images (400, 64, 64, 3) and masks (400, 64, 64) of seed 0."""
    images, masks = zip(*(phantom_lesion(index, SIZE) for index in range(400)), strict=True)
    return np.stack(images), np.stack(masks)


def without_lesions(index, monkeypatch):
    """Draw phantom `index` with all that lesions add taken out."""
    healthy = (*np.zeros((3, SIZE, SIZE)), np.ones((SIZE, SIZE)))
    with monkeypatch.context() as patch:
        patch.setattr(phantoms, "lesions", lambda rng, size: healthy)
        return phantom_lesion(index, SIZE)[0]


def read(path):
    return np.asarray(Image.open(path))


def test_image_is_a_pure_function_of_seed_index_and_size(sample):
    """Drawing an image again, after others and in reverse order, gives the same bytes."""
    for index in reversed(range(5)):
        image, mask = phantom_lesion(index, SIZE)
        np.testing.assert_array_equal(image, sample[0][index])
        np.testing.assert_array_equal(mask, sample[1][index])


def test_indices_and_seeds_give_different_images():
    """No two of 20 (seed, index) pairs share an image."""
    images = {phantom_lesion(i, SIZE, seed)[0].tobytes() for i in range(10) for seed in (0, 1)}
    assert len(images) == 20


def test_written_images_do_not_depend_on_their_number(tmp_path):
    """The first two of two and of four phantoms are the same files, byte for byte."""
    generate(tmp_path / "two", 2, SIZE, seed=3)
    generate(tmp_path / "four", 4, SIZE, seed=3)
    for path in (tmp_path / "two").glob("*/*.png"):
        other = tmp_path / "four" / path.relative_to(tmp_path / "two")
        assert path.read_bytes() == other.read_bytes()
    assert len(list((tmp_path / "two").glob("*/*.png"))) == 4


def test_types_and_ranges(sample):
    """Images are uint8 RGB over most of the range, masks are boolean of the same size."""
    images, masks = sample
    assert images.dtype == np.uint8 and images.shape == (400, SIZE, SIZE, 3)
    assert masks.dtype == bool and masks.shape == (400, SIZE, SIZE)
    assert images.min() < 10 and images.max() > 240


def test_mask_is_exactly_where_the_lesion_changes_the_image(sample, monkeypatch):
    """Without lesions, the same phantom differs inside the mask and nowhere else."""
    for index in range(30):
        image, mask = sample[0][index], sample[1][index]
        changed = (image != without_lesions(index, monkeypatch)).any(-1)
        assert not changed[~mask].any()
        assert not mask.any() or changed[mask].mean() > 0.85


def test_hair_and_glare_stay_in_the_mask_but_the_box_does_not(sample, monkeypatch):
    """Without distractors a mask only gains pixels, and those all lie in the lower-left box."""
    with monkeypatch.context() as patch:
        patch.setattr(phantoms, "distractors", lambda rng, image: (image, np.False_))
        bare = np.stack([phantom_lesion(index, SIZE)[1] for index in range(100)])
    masks = sample[1][:100]
    assert not (masks & ~bare).any()
    hidden = bare & ~masks
    assert hidden.any()
    assert not hidden[:, : int(0.68 * SIZE)].any() and not hidden[..., int(0.32 * SIZE) + 1 :].any()


def test_mask_is_the_same_scene_at_every_size():
    """A mask drawn at 64 px is the one drawn at 192 px, up to its outline."""
    for index in range(10):
        small, large = phantom_lesion(index, 64)[1], phantom_lesion(index, 192)[1]
        np.testing.assert_array_equal(small, large[1::3, 1::3])


def test_blob_has_the_requested_area():
    """The outline's amplitude is normalised in closed form, so pixels add up to the area."""
    for seed in range(20):
        depth, _ = phantoms.blob(np.random.default_rng(seed), 256, area=0.06)
        inner = depth[1:-1, 1:-1] > 0
        if inner.sum() == (depth > 0).sum():  # not cut off by the image's border
            assert (depth > 0).mean() == pytest.approx(0.06, rel=0.03)


def test_noise_has_unit_variance():
    """The spline basis is scaled so that every pixel of a noise field has variance 1."""
    rng = np.random.default_rng(0)
    fields = np.stack([phantoms.noise(rng, 16, 5) for _ in range(4000)])
    np.testing.assert_allclose(fields.std(0), 1, atol=0.06)


def test_lesions_are_varied(sample):
    """About 15 % have none; areas span 2–25 %; some are brighter than around, some darker."""
    images, masks = sample
    area = masks.mean((1, 2))
    lesion = area > 0
    assert 0.10 < 1 - lesion.mean() < 0.20
    assert area[lesion].min() > 0.015 and area.max() < 0.26
    assert np.quantile(area[lesion], 0.9) > 3 * np.quantile(area[lesion], 0.1)
    grey = images.mean(-1)
    brighter = [grey[i][masks[i]].mean() > grey[i][~masks[i]].mean() for i in np.where(lesion)[0]]
    assert 0.03 < np.mean(brighter) < 0.97


def test_distractors_are_independent_of_the_label(monkeypatch):
    """Glare, hair and the box are as frequent with lesions as without, and drawn alike."""
    seen = []

    def record(rng, image):
        drawn, box = distractors(rng, np.full_like(image, 0.5))
        hair = (drawn[: SIZE // 2] < 0.4).any()
        seen.append(((drawn > 0.6).any(), hair, box.any()))
        return image, box

    distractors = phantoms.distractors
    monkeypatch.setattr(phantoms, "distractors", record)
    label = np.array([phantom_lesion(index, SIZE)[1].any() for index in range(600)])
    for shown in np.array(seen).T:
        table = [[(shown & label).sum(), (~shown & label).sum()]]
        table += [[(shown & ~label).sum(), (~shown & ~label).sum()]]
        assert 0.2 < shown.mean() < 0.9
        assert fisher_exact(table).pvalue > 0.01


def test_written_files_read_back(tmp_path):
    """Files hold the arrays unchanged, and labels.csv agrees with the masks."""
    generate(tmp_path, 12, SIZE, seed=5)
    with (tmp_path / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == [f"lesion-{index:04d}" for index in range(12)]
    for index, row in enumerate(rows):
        image, mask = phantom_lesion(index, SIZE, seed=5)
        np.testing.assert_array_equal(read(tmp_path / f"images/{row['image_id']}.png"), image)
        written = read(tmp_path / f"masks/{row['image_id']}.png")
        np.testing.assert_array_equal(written, np.where(mask, 255, 0))
        assert row["label"] == ("lesion" if mask.any() else "background")
    assert {row["label"] for row in rows} == {"lesion", "background"}
    assert not list(tmp_path.rglob(".*"))


def test_an_interrupted_write_leaves_no_labels(tmp_path, monkeypatch):
    """The list of labels appears only once every image does."""

    def fail_at_third(index, size, seed):
        if index == 2:
            raise OSError("disk full")
        return phantom_lesion(index, size, seed)

    monkeypatch.setattr(phantom_lesions, "phantom_lesion", fail_at_third)
    with pytest.raises(OSError, match="disk full"):
        generate(tmp_path, 4, SIZE)
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == [
        "lesion-0000.png",
        "lesion-0001.png",
    ]
    assert not (tmp_path / "labels.csv").exists()
