"""AJI and panoptic quality by hand, by loops over objects, by torchmetrics, and by identities."""

import json
import runpy

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from torchmetrics.functional.detection import panoptic_quality as reference_quality

from segxai.images.load import resize_instances
from segxai.images.masks import mask_rows
from segxai.job.files import read_rows
from segxai.job.log import InputError
from segxai.metrics.instances import aji, components, overlaps, panoptic_quality
from segxai.metrics.overlap import iou

objects = arrays(np.uint16, (5, 6), elements=st.integers(0, 4))
masks = arrays(bool, (6, 7))


def looped_aji(prediction, target) -> float:
    """Algorithm 1 of Kumar et al., one object after the other; ties to the first from the top."""
    numbers = [list(dict.fromkeys(ids[ids > 0].tolist())) for ids in (prediction, target)]
    above = below = 0
    used = set()
    for number in numbers[1]:
        true = target == number
        best, partner = 0.0, None
        for other in numbers[0]:
            share = (true & (prediction == other)).sum() / (true | (prediction == other)).sum()
            if share > best:
                best, partner = share, other
        above += (true & (prediction == partner)).sum() if partner else 0
        below += (true | (prediction == partner)).sum() if partner else true.sum()
        used.add(partner)
    below += sum((prediction == other).sum() for other in numbers[0] if other not in used)
    return above / below if below else np.nan


def grid(*rows: str) -> np.ndarray:
    """Objects drawn as digits."""
    return np.array([list(map(int, row)) for row in rows])


TARGET = grid("11110022", "11110022", "00000000", "33000000")
# Half of object 1 is predicted, 2 with two extra pixels, 3 is missed; 9 is nowhere true.
PREDICTION = grid("77000555", "77000555", "00000000", "00000990")


def test_aji_by_hand():
    """Shared 4 + 4; joined 8 + 6, and beside them the missed 2 and the wrong 2 pixels."""
    assert aji(PREDICTION, TARGET) == pytest.approx((4 + 4) / (8 + 6 + 2 + 2))


def test_panoptic_quality_by_hand():
    """IoU 4/8 does not match and 4/6 does: 1 of 3 true and of 3 predicted objects, SQ 2/3."""
    assert panoptic_quality(PREDICTION, TARGET) == pytest.approx((2 / 9, 2 / 3, 1 / 3))


def test_a_merged_object_is_counted_once_for_each():
    """One object over two true ones is chosen twice by AJI, and matches neither."""
    merged, target = grid("11111111"), grid("11110222")
    assert aji(merged, target) == pytest.approx((4 + 3) / (8 + 8))
    assert panoptic_quality(merged, target) == (0, 0, 0)


def test_nothing_at_all_is_undefined_and_half_of_nothing_is_zero():
    """Without any object nothing is defined; with objects on one side only all scores are 0."""
    empty = np.zeros_like(TARGET)
    assert np.isnan([aji(empty, empty), *panoptic_quality(empty, empty)]).all()
    for pair in ((empty, TARGET), (TARGET, empty)):
        assert (aji(*pair), *panoptic_quality(*pair)) == (0, 0, 0, 0)


@given(objects, objects)
def test_aji_agrees_with_a_loop_over_objects(prediction, target):
    """The contingency table gives what comparing every object with every other gives."""
    assert aji(prediction, target) == pytest.approx(looped_aji(prediction, target), nan_ok=True)


@given(objects, objects)
def test_panoptic_quality_agrees_with_torchmetrics(prediction, target):
    """PQ, SQ and DQ are torchmetrics' for the class "object", background being the other class."""
    if not (prediction.any() or target.any()):
        assert np.isnan(panoptic_quality(prediction, target)).all()
        return
    pair = (
        torch.from_numpy(np.stack([ids > 0, ids], axis=-1).astype(np.int64))[None]
        for ids in (prediction, target)
    )
    settings = {"things": {1}, "stuffs": {0}, "return_sq_and_rq": True, "return_per_class": True}
    expected = reference_quality(*pair, **settings)[0].numpy()
    assert panoptic_quality(prediction, target) == pytest.approx(expected, abs=1e-6)


@given(objects)
def test_the_truth_itself_is_perfect(target):
    """Every score of the true objects is 1, whatever they are."""
    if target.any():
        assert (aji(target, target), *panoptic_quality(target, target)) == (1, 1, 1, 1)


@given(objects, objects, st.permutations([11, 7, 60000, 3]))
def test_numbers_of_objects_do_not_matter(prediction, target, numbers):
    """Other numbers, in another order and with gaps, give the same scores."""
    names = np.array([0, *numbers])
    for scores in (aji, panoptic_quality):
        expected = scores(prediction, target)
        np.testing.assert_array_equal(scores(names[prediction], target), expected)
        np.testing.assert_array_equal(scores(prediction, names[target]), expected)


@given(objects, objects)
def test_scores_bound_one_another(prediction, target):
    """AJI ≤ IoU of the masks; PQ = SQ · DQ, where 0.5 < SQ ≤ 1; PQ is symmetric."""
    pq, sq, dq = panoptic_quality(prediction, target)
    np.testing.assert_array_equal(panoptic_quality(target, prediction), (pq, sq, dq))
    if prediction.any() or target.any():
        assert 0 <= aji(prediction, target) <= iou(prediction > 0, target > 0) + 1e-12
    if dq > 0:
        assert pq == pytest.approx(sq * dq)
        assert 0.5 < sq <= 1


@given(masks)
def test_components_are_the_mask_and_do_not_touch(mask):
    """Components cover the mask, and neighbours by an edge are one, by a corner not."""
    ids = components(mask)
    np.testing.assert_array_equal(ids > 0, mask)
    for first, second in ((ids[1:], ids[:-1]), (ids[:, 1:], ids[:, :-1])):
        assert (first == second)[(first > 0) & (second > 0)].all()
    assert len(np.unique(components(np.eye(4, dtype=bool)))) == 5


@pytest.mark.parametrize(
    ("prediction", "words"),
    [
        (np.zeros((4, 7), int), r"\(4, 7\)"),
        (np.zeros((4, 8)), "prediction must hold whole numbers"),
        (np.full((4, 8), -1), "prediction must hold whole numbers"),
    ],
)
def test_invalid_maps_of_objects_are_refused(prediction, words):
    """Another shape, probabilities and negative numbers are refused, not silently scored."""
    with pytest.raises(ValueError, match=words):
        overlaps(prediction, TARGET)


@given(st.integers(1, 7), st.integers(1, 7))
def test_resized_objects_keep_their_numbers(rows, columns):
    """Enlarged by a whole factor every pixel becomes a square, and back nothing has changed."""
    ids = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns) * 1000
    size = rows * columns
    large = resize_instances(ids, size)
    np.testing.assert_array_equal(large, np.kron(ids, np.ones((columns, rows), np.uint16)))
    square = np.tile(ids[:, :1], rows)
    np.testing.assert_array_equal(
        resize_instances(resize_instances(square, 3 * rows), rows), square
    )


@pytest.fixture
def script(checkout):
    """Return a function that gives the `main` of a script."""
    return lambda name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


@pytest.fixture
def study(tmp_path, script):
    """Prepare three images of 8×8 pixels: numbered objects, a mask alone, and nothing at all."""
    numbered = np.zeros((8, 8), np.uint16)
    numbered[0:4, 0:2], numbered[0:4, 2:4] = 7, 40_000
    touching = (numbered > 0).astype(np.uint8)
    masks = np.stack([touching, touching, np.zeros_like(touching)])
    tissue = tmp_path / "mouse heart"
    for folder in ("tissue images", "label masks modify", "mask binary"):
        (tissue / folder).mkdir(parents=True)
    for name, mask in zip("abc", masks, strict=True):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tissue / f"tissue images/{name}.png")
        Image.fromarray(mask).save(tissue / f"mask binary/{name}.png")
    Image.fromarray(numbered).save(tissue / "label masks modify" / "a.tif")
    (tmp_path / "receipt.json").write_text(json.dumps({"folder": str(tmp_path)}))
    samples = {"image_id": list("abc"), "group": list("abc"), "label": "mouse heart"}
    samples = pd.DataFrame(samples).assign(split=["train", "train", "validation"])
    samples.to_csv(tmp_path / "samples.csv", index=False)
    with mask_rows(tmp_path / "masks.npy", tmp_path / "masks.csv", 8) as append:
        for row, mask in enumerate(masks):
            append(row, {0: mask})
    prepare_instances(script, tmp_path)
    return tmp_path


def prepare_instances(script, folder):
    script("prepare_instances")(
        receipt=folder / "receipt.json",
        samples=folder / "samples.csv",
        truth=folder / "masks.npy",
        outlines=folder / "masks.csv",
        reader="nuinsseg",
        analysis_size=8,
        instances=folder / "instances.npy",
        facts=folder / "instances.csv",
    )


def test_objects_are_prepared_and_guesses_are_logged(study):
    """Numbers are kept as they are; without them a mask's components stand in, and are marked."""
    ids = np.load(study / "instances.npy")
    assert ids.dtype == np.uint16
    assert [np.unique(image_ids).tolist() for image_ids in ids] == [[0, 7, 40_000], [0, 1], [0]]
    facts = read_rows(study / "instances.csv")
    assert facts.objects.tolist() == [2, 1, 0]
    assert facts.annotated.tolist() == [1, 0, 0]


def test_numbers_that_cannot_be_stored_are_refused(study, script):
    """An id above 65535 is named with its file instead of being cut to 16 bits."""
    path = study / "mouse heart" / "label masks modify" / "a.tif"
    Image.fromarray(np.full((8, 8), 70_000, np.int32)).save(path)
    with pytest.raises(InputError, match=r"a\.tif: has objects up to number 70000, and 65535"):
        prepare_instances(script, study)
