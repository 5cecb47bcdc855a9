"""Patches: every window once, labelled by its mask, equally many of each class per split."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segxai.datasets.patches import cut_patches, whole_images, window_means
from segxai.job.log import InputError

CLASSES = ["background", "lesion"]


def table(n: int, n_validation: int) -> pd.DataFrame:
    sides = ["validation"] * n_validation + ["train"] * (n - n_validation)
    names = [f"{i:03d}" for i in range(n)]
    return pd.DataFrame({"image_id": names, "split": sides, "label": "lesion"})


def quarter_masks(n: int, seed: int = 0) -> np.ndarray:
    """Masks whose windows are full or empty: one to three quarters are full."""
    rng = np.random.default_rng(seed)
    full = np.array([rng.permutation(np.arange(4) <= i % 3).reshape(2, 2) for i in range(n)])
    return np.kron(full, np.ones((1, 8, 8))).astype(np.uint8)


@given(st.integers(8, 40), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_classes_are_balanced_and_true(n, seed):
    """Each split has as many of both labels as its rarer one has windows; labels are true."""
    masks, samples = quarter_masks(n, seed), table(n, n // 3)
    samples = samples.sample(frac=1, random_state=seed).reset_index(drop=True)
    patches = cut_patches(masks, samples, CLASSES, 16, 2, 0.001, seed)
    row_of = {name: row for row, name in enumerate(samples.image_id)}
    for patch in patches.itertuples():
        row = row_of[patch.image_id]
        window = masks[row, patch.y : patch.y + patch.height, patch.x : patch.x + patch.width]
        assert window.shape == (8, 8)
        assert patch.label == CLASSES[int(window.any())]
        assert patch.split == samples.split[row]
    assert not patches.duplicated(["image_id", "y", "x"]).any()
    counts = patches.groupby(["split", "label"]).size()
    full = masks[:, ::8, ::8].reshape(n, 4)
    for split in ("train", "validation"):
        there = full[(samples.split == split).to_numpy()]
        assert counts[split].tolist() == [min(there.sum(), (1 - there).sum())] * 2


def test_negative_is_at_most_the_threshold():
    """With 1,000 pixels a window, one foreground pixel (0.1 %) is negative and two positive."""
    masks = np.zeros((2, 200, 200), np.uint8)
    masks[:, 0, :10] = 1  # 10 of 10,000 pixels: exactly 0.1 %
    masks[:, 100, :11] = 1  # 11 of 10,000 pixels
    patches = cut_patches(masks, table(2, 1), CLASSES, 200, 2, 0.001, 1)
    assert (patches[patches.label == "lesion"].y == 100).all()
    assert len(patches) == 4


def test_drawing_depends_on_the_seed_only():
    """The same seed keeps the same windows in any order of the images, another keeps others."""
    masks, samples = quarter_masks(40), table(40, 12)
    kept = [
        set(cut_patches(masks, samples, CLASSES, 16, 2, 0, s).itertuples(index=False))
        for s in (1, 2)
    ]
    reverse = cut_patches(masks[::-1], samples[::-1].reset_index(drop=True), CLASSES, 16, 2, 0, 1)
    assert set(reverse.itertuples(index=False)) == kept[0] != kept[1]


@given(st.integers(1, 4), st.integers(0, 99))
def test_window_means_average_to_the_whole(grid, seed):
    """Equal windows tile the mask: their shares average to its share, the first is its corner."""
    mask = np.random.default_rng(seed).integers(0, 2, (12, 12), dtype=np.uint8)
    shares = window_means(mask, grid)
    assert shares.mean() == pytest.approx(mask.mean())
    assert shares[0, -1] == pytest.approx(mask[: 12 // grid, -(12 // grid) :].mean())


def test_whole_images_keep_their_label():
    """Without patches each image is one window that covers it, with its own label."""
    samples = table(6, 2)
    samples["label"] = ["lesion", "background"] * 3
    windows = whole_images(samples, 128)
    assert windows.label.tolist() == samples.label.tolist()
    assert windows[["y", "x", "height", "width"]].drop_duplicates().values.tolist() == [
        [0, 0, 128, 128]
    ]


def test_empty_classes_are_refused():
    """Masks without any background window leave that class empty, which is reported."""
    with pytest.raises(InputError, match="class 'background' has no train sample"):
        cut_patches(np.ones((4, 8, 8), np.uint8), table(4, 2), CLASSES, 8, 2, 0.001, 1)


def test_unfit_settings_are_refused():
    """Three classes and unequal windows each name the key to change."""
    masks = quarter_masks(8)
    with pytest.raises(InputError, match="`patches: null`"):
        cut_patches(masks, table(8, 3), ["a", "b", "c"], 16, 2, 0.001, 1)
    with pytest.raises(InputError, match="`analysis_size` 16"):
        cut_patches(masks, table(8, 3), CLASSES, 16, 3, 0.001, 1)
