"""Masks on disk: only those that are not empty, dense when read, unknown where nobody drew one."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segxai.images.masks import mask_rows, read_masks
from segxai.job.log import InputError

HALF = np.zeros((4, 4), np.uint8)
HALF[:2] = 1
NOTHING = np.zeros((4, 4), np.uint8)


def samples(n: int, classes: str = "") -> pd.DataFrame:
    table = pd.DataFrame({"image_id": [f"{i}" for i in range(n)], "label": "x"})
    return table.assign(**{f"label_{name}": 1 for name in classes})


def stored(folder, images, table):
    """Write the masks by class of each image, and open them."""
    with mask_rows(folder / "masks.npy", folder / "masks.csv", 4) as append:
        for row, masks in enumerate(images):
            append(row, masks)
    return read_masks(folder / "masks.npy", folder / "masks.csv", table)


def test_one_mask_per_image(tmp_path):
    """Masks, empty ones and unknown ones come back by row, for any label."""
    masks = stored(tmp_path, [{0: HALF}, {0: NOTHING}, {0: None}, {}], samples(4))
    assert masks.shape == (4, 4, 4) and len(masks) == 4 and not masks.per_class
    for label in (0, 3):
        np.testing.assert_array_equal(masks.of(0, label), HALF)
        np.testing.assert_array_equal(masks.of(1, label), NOTHING)
        assert masks.of(2, label) is None
        known = [masks.known(row, label) for row in range(4)]
        assert known == [True, True, False, True]
    assert [mask.sum() for mask in masks] == [8, 0, 0, 0]
    np.testing.assert_array_equal(masks.union(0), masks[0])
    assert len(np.load(tmp_path / "masks.npy", allow_pickle=False)) == 1
    assert pd.read_csv(tmp_path / "masks.csv").values.tolist() == [[0, 0, 0], [2, 0, -1]]


def test_a_mask_for_each_class(tmp_path):
    """A class with an unknown outline differs from one that is absent from the image."""
    images = [{0: HALF, 2: 1 - HALF}, {1: None, 2: HALF}]
    masks = stored(tmp_path, images, samples(2, "abc"))
    assert masks.shape == (2, 3, 4, 4) and masks.per_class
    np.testing.assert_array_equal(masks[0], [HALF, NOTHING, 1 - HALF])
    np.testing.assert_array_equal(masks[1], [NOTHING, NOTHING, HALF])
    assert masks.union(0).all() and (masks.union(1) == HALF).all()
    assert masks.of(1, 1) is None and not masks.known(1, 1) and masks.known(1, 0)
    assert masks[0].dtype == masks.union(0).dtype == masks.of(0, 0).dtype == np.uint8


@given(st.lists(st.lists(st.sampled_from([0, 1, None]), min_size=3, max_size=3), max_size=6))
@settings(max_examples=30, deadline=None)
def test_dense_masks_come_back(tmp_path_factory, drawn):
    """Any mixture of full, empty and unknown masks reads back as the dense array that it is."""
    folder = tmp_path_factory.mktemp("masks")
    images = [
        {
            k: None if value is None else np.full((4, 4), value, np.uint8)
            for k, value in enumerate(m)
        }
        for m in drawn
    ]
    masks = stored(folder, images, samples(len(drawn), "abc"))
    dense = np.array([[value or 0 for value in m] for m in drawn]).reshape(-1, 3)
    assert len(masks) == len(drawn)
    for row, expected in enumerate(dense):
        np.testing.assert_array_equal(masks[row], expected[:, None, None] * np.ones((4, 4)))
        assert [masks.known(row, k) for k in range(3)] == [v is not None for v in drawn[row]]


@pytest.mark.parametrize(
    "table",
    [
        "row,class,place\n0,0,0\n",
        "row,class,place\n0,0,1\n1,0,0\n",
        "row,class,place\n0,0,0\n9,0,1\n",
        "row,class,place\n0,0,0\n1,1,1\n",
        "row,class,place\n0,0,0\n1,0,-2\n",
        "row,class,place\n0,0,0\na,b,1\n",
        "row,place\n0,0\n1,1\n",
        "row,class,place\n",
    ],
)
def test_tables_of_other_masks_are_refused(tmp_path, table):
    """A table that names too few masks, or images and classes that are not there, is named."""
    stored(tmp_path, [{0: HALF}, {0: HALF}], samples(2))
    (tmp_path / "masks.csv").write_text(table)
    with pytest.raises(InputError, match=r"masks\.csv: does not describe .*run again"):
        read_masks(tmp_path / "masks.npy", tmp_path / "masks.csv", samples(2))


def test_nothing_is_left_of_a_failure(tmp_path):
    """If one mask cannot be stored, neither array nor table remains."""
    with (
        pytest.raises(ValueError, match="not uint8"),
        mask_rows(tmp_path / "masks.npy", tmp_path / "masks.csv", 4) as append,
    ):
        append(0, {0: HALF})
        append(1, {0: np.ones((2, 2), np.uint8)})
    assert not list(tmp_path.iterdir())
