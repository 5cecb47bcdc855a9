"""What is explained: images of the selections, targets of a network's output, and their list."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scripts import check_outlines, choose_images, choose_targets
from segxai.datasets.selection import background_rows, chosen_rows, shard_column, with_few
from segxai.explain.target import Label, Region, evaluate
from segxai.job.files import read_rows
from segxai.job.log import InputError


def samples(n: int) -> pd.DataFrame:
    """Rows of a data set; every fifth image is held out."""
    split = np.where(np.arange(n) % 5 == 0, "validation", "train")
    return pd.DataFrame({"image_id": [f"i{k}" for k in range(n)], "split": split, "label": "x"})


def asked(split=None, images=None, seed=1) -> dict:
    return {"split": split, "images": images, "seed": seed}


@given(count=st.integers(10, 60), seed=st.integers(0, 9))
def test_a_selection_keeps_the_shares_of_the_splits(count, seed):
    """The subset has the given size and validation share; without a size it is everything."""
    table = samples(60)
    rows = chosen_rows(table, [asked(images=count, seed=seed)])
    assert len(rows) == len(set(rows)) == count
    assert abs((table.split[rows] == "validation").sum() - count / 5) <= 1
    np.testing.assert_array_equal(chosen_rows(table, [asked()]), np.arange(60))


def test_only_the_selected_subset_is_explained():
    """With a split the rows, and a subset drawn from them, are of that split alone, or an error."""
    table, held_out = samples(60), np.arange(0, 60, 5)
    np.testing.assert_array_equal(chosen_rows(table, [asked("validation")]), held_out)
    some = chosen_rows(table, [asked("validation", 5)])
    assert len(some) == 5
    assert set(some) < set(held_out)
    with pytest.raises(InputError, match=r"subset 'test'.*`split: null`"):
        chosen_rows(table, [asked("test")])


def test_studies_share_the_union_of_their_selections():
    """An image that two studies ask for occurs once, and rows ascend."""
    table = samples(60)
    both = [asked("validation"), asked(images=20)]
    rows = chosen_rows(table, both)
    parts = [chosen_rows(table, [selection]) for selection in both]
    np.testing.assert_array_equal(rows, np.union1d(*parts))
    assert len(rows) < sum(map(len, parts))


@given(n=st.integers(0, 300), shards=st.integers(1, 12))
def test_shards_are_contiguous_and_equal(n, shards):
    """Shards ascend, and differ in size by one at most."""
    column = shard_column(n, shards)
    assert len(column) == n
    assert (np.diff(column) >= 0).all()
    sizes = np.bincount(column, minlength=shards)
    assert len(sizes) == shards
    assert np.ptp(sizes) <= 1


@given(count=st.integers(1, 30), seed=st.integers(0, 9))
def test_background_is_a_seeded_part_of_validation(count, seed):
    """Only validation images, the given number or all; a smaller set is part of a larger one."""
    table = samples(60)
    rows = background_rows(table, count, seed)
    assert len(rows) == min(count, 12)
    assert (np.diff(rows) > 0).all()
    assert set(table.split[rows]) == {"validation"}
    assert set(rows) <= set(background_rows(table, count + 1, seed))
    others = {tuple(background_rows(table, 4, other)) for other in range(10)}
    assert len(others) > 5


def few(table, images, seed=1, **usable) -> set:
    """Names of the images that are left for training."""
    chosen = with_few(table, images, seed, **usable)
    assert chosen.image_id.equals(table.image_id)
    others = table.split != "train"
    assert chosen.split[others].equals(table.split[others])
    return {*chosen.image_id[chosen.split == "train"]}


@given(st.permutations(range(30)), st.integers(1, 24), st.integers(1, 24), st.integers(0, 99))
def test_few_training_images_are_nested_and_seeded(order, fewer, more, seed):
    """A smaller draw lies within a larger one, in any order of the rows; other subsets stay."""
    names = [f"i{place}" for place in order]
    table = pd.DataFrame({"image_id": names, "split": "train"})
    table.loc[table.image_id.isin([f"i{k}" for k in range(6)]), "split"] = "validation"
    fewer, more = sorted((fewer, more))
    small, large = few(table, fewer, seed), few(table, more, seed)
    assert small <= large and (len(small), len(large)) == (fewer, more)
    assert few(table[::-1].reset_index(drop=True), fewer, seed) == small
    assert few(table, None, seed) == few(table, 24, seed)


def test_few_training_images_differ_by_seed_and_come_with_all_their_windows():
    """Each image counts once, however many windows it has."""
    table = pd.DataFrame({"image_id": np.repeat([f"i{k}" for k in range(40)], 3), "split": "train"})
    draws = [few(table, 10, seed) for seed in (1, 2)]
    assert [*map(len, draws)] == [10, 10] and draws[0] != draws[1]
    assert (with_few(table, 10, 1).split == "train").sum() == 30


def test_more_images_than_can_be_learnt_from_are_refused():
    """Those of unknown outline do not count: one sentence names the key and the number."""
    table = pd.DataFrame({"image_id": list("abcd"), "split": ["train"] * 3 + ["validation"]})
    usable = pd.Series([True, False, True, True])
    assert few(table, 2, usable=usable) == {"a", "c"}
    with pytest.raises(InputError, match=r"training\.images: 3, but only 2 .* set 2 or fewer"):
        few(table, 3, usable=usable)


def test_targets_of_known_outputs():
    """A label is its logit, a region the mean logit over its pixels; gradients are their share."""
    output = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert evaluate(output, [Label(1), Label(0)]).tolist() == [2.0, 3.0]
    maps = torch.arange(16.0).view(2, 2, 2, 2).requires_grad_()
    corner = Region(0, torch.tensor([[True, False], [False, True]]))
    row = Region(1, torch.tensor([[False, False], [True, True]]))
    values = evaluate(maps, [corner, row])
    assert values.tolist() == [(0 + 3) / 2, (14 + 15) / 2]
    values.sum().backward()
    assert maps.grad[0, 0].tolist() == [[0.5, 0], [0, 0.5]]
    assert maps.grad[1, 1].tolist() == [[0, 0], [0.5, 0.5]]
    assert not maps.grad[0, 1].any() and not maps.grad[1, 0].any()


def test_targets_that_do_not_fit_the_network_are_refused():
    """A classifier has no regions, and a segmenter no labels."""
    region = Region(0, torch.ones(2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="needs targets Label"):
        evaluate(torch.zeros(1, 2), [region])
    with pytest.raises(ValueError, match="needs targets Region"):
        evaluate(torch.zeros(1, 2, 2, 2), [Label(0)])


def chosen_targets(folder, table, predictions) -> pd.DataFrame:
    """List the targets of every image of a table, in two shards."""
    table.to_csv(folder / "samples.csv", index=False)
    predictions.to_csv(folder / "predictions.csv", index=False)
    choose_targets.main(
        *(folder / "samples.csv", folder / "predictions.csv", ["x", "y"], [asked()], 2),
        folder / "targets.csv",
    )
    return read_rows(folder / "targets.csv")


def test_every_predicted_label_is_a_target(tmp_path):
    """Label targets by hand: in the order of images and classes, correct where shown."""
    table = samples(3).assign(group=["a", "", "c"], label_x=[0, 1, 1], label_y=1)
    predictions = pd.DataFrame({"image_id": np.repeat(["i2", "i0", "i1"], 2), "class": [*"xyxyxy"]})
    targets = chosen_targets(tmp_path, table, predictions.assign(predicted=[1, 1, 1, 0, 0, 0]))
    assert targets.target_id.tolist() == ["i0:x", "i2:x", "i2:y"]
    assert targets.row.tolist() == [0, 2, 2]
    assert targets.kind.unique().tolist() == ["label"]
    assert targets.label.tolist() == ["x", "x", "y"]
    assert targets.channel.tolist() == [0, 0, 1]
    assert targets.correct.tolist() == [0, 1, 1]
    assert targets.group.tolist() == ["a", "c", "c"]
    assert targets.shard.tolist() == [0, 0, 1]


def test_every_predicted_region_is_a_target(tmp_path):
    """Region targets by hand: empty predictions have none, and nothing is correct or not."""
    predictions = pd.DataFrame(
        {
            "image_id": np.repeat(["i0", "i1"], 2),
            "class": ["region-0", "region-1"] * 2,
            "mask_fraction": [0.1, 0, 0, 0.2],
            "confidence": [0.9, 0, 0, 0.8],
            "predicted": [1, 0, 0, 1],
        }
    )
    targets = chosen_targets(tmp_path, samples(3).assign(group=""), predictions)
    assert targets.target_id.tolist() == ["i0:region-0", "i1:region-1"]
    assert targets.channel.tolist() == [0, 1]
    assert set(targets.kind) == {"region"} and set(targets.region) == {"predicted"}
    assert targets.correct.isna().all() and targets.label.isna().all()


def test_no_prediction_gives_a_list_without_rows(tmp_path):
    """Where nothing is predicted the list has its header, and no job fails."""
    predictions = pd.DataFrame({"image_id": ["i0", "i1"], "class": "x", "predicted": 0})
    targets = chosen_targets(tmp_path, samples(2).assign(group=""), predictions)
    assert targets.empty
    assert list(targets) == choose_targets.COLUMNS


def test_chosen_images_carry_their_row_and_shard(tmp_path):
    """The list of images by hand: of one split, in two shards."""
    samples(15).assign(group="g").to_csv(tmp_path / "samples.csv", index=False)
    chosen = tmp_path / "images.csv"
    choose_images.main(tmp_path / "samples.csv", [asked("validation")], 2, chosen)
    selected = read_rows(chosen)
    assert list(selected) == ["image_id", "row", "group", "split", "shard"]
    assert selected.image_id.tolist() == ["i0", "i5", "i10"]
    assert selected.row.tolist() == [0, 5, 10]
    assert sorted(selected.shard) == selected.shard.tolist()
    assert set(selected.shard) == {0, 1}


def need(use: str, split: str | None = None, explained: list[dict] | None = None) -> dict:
    """A need of images as `segxai.workflow.studies.needs_of_outlines` states it."""
    return {"study": "s", "use": use, "split": split, "selections": explained}


def checked(folder, mask_pixels, needs) -> pd.DataFrame:
    """Check needs of fifteen images, a fifth of them validation images."""
    table = samples(15).assign(mask_pixels=mask_pixels)
    table.to_csv(folder / "samples.csv", index=False)
    check_outlines.main(folder / "samples.csv", needs, folder / "outlines.csv")
    return read_rows(folder / "outlines.csv")


def test_outlines_are_counted_by_use(tmp_path):
    """Images that show something, nothing, and what is unknown, of each use by hand."""
    pixels = [9, 0, 9, 9, 0, np.nan, 9, 9, 9, 9, 3, 0, np.nan, 9, 9]
    uses = [need("tuned on", "validation"), need("scored", explained=[asked()])]
    outlines = checked(tmp_path, pixels, uses)
    # Validation images are i0, i5 and i10.
    counts = outlines[["images", "outlined", "empty", "unknown"]].to_numpy().tolist()
    assert counts == [[3, 2, 0, 1], [15, 10, 3, 2]]


@pytest.mark.parametrize(
    ("empty", "uses", "words"),
    [
        (range(15), [need("scored")], "none of the 15 images scored by study s"),
        ([0, 5, 10], [need("tuned on", "validation")], "none of the 3 validation images tuned on"),
        ([1, 2], [need("tuned on", "validation", [asked("train")])], "none of the 0 val"),
    ],
)
def test_a_use_that_no_image_can_serve_is_refused(tmp_path, empty, uses, words):
    """Empty masks of all images of a use are one sentence with the table and the remedy."""
    pixels = [0 if row in empty else 9 for row in range(15)]
    with pytest.raises(InputError, match=rf"samples\.csv: {words}.*check the masks.*`split`"):
        checked(tmp_path, pixels, uses)
