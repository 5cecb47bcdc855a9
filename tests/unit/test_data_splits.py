"""Splits: exact, by group, by label, and the same in any order of the rows."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segxai.datasets.splits import (
    choose_subset,
    pick_groups,
    split_by_group,
    split_by_order,
    split_images,
)
from segxai.job.log import InputError

NAMES = [f"image-{i}" for i in range(200)]


@given(st.integers(1, 199), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_single_images_are_split_exactly(validation, seed):
    """If every image is its own group, exactly the given number is held out."""
    split = split_by_group(NAMES, ["x"] * 200, validation, seed)
    assert (split == "validation").sum() == validation
    assert set(split) == {"train", "validation"}


@given(st.lists(st.integers(0, 12), min_size=8, max_size=40), st.integers(2, 6), st.integers(0, 9))
@settings(max_examples=80, deadline=None)
def test_no_group_is_on_both_sides(group_numbers, validation, seed):
    """Each group lies wholly on one side, and at most the given number is held out."""
    groups = [f"g{number}" for number in group_numbers]
    try:
        split = split_by_group(groups, ["x"] * len(groups), validation, seed)
    except InputError:
        return
    sides = Counter(group for group, _ in set(zip(groups, split, strict=True)))
    assert set(sides.values()) == {1}
    assert (split == "validation").sum() <= validation


@given(st.lists(st.integers(1, 7), min_size=1, max_size=8), st.integers(0, 20))
@settings(max_examples=150, deadline=None)
def test_groups_fill_the_target_as_far_as_any_choice_can(sizes, target):
    """The sum is the largest reachable one up to the target, as trying all choices finds."""
    names = [str(i) for i in range(len(sizes))]
    picked = pick_groups(names, sizes, target)
    best = max(
        total
        for count in range(len(sizes) + 1)
        for choice in combinations(sizes, count)
        if (total := sum(choice)) <= target
    )
    assert sum(sizes[int(name)] for name in picked) == best
    assert len(set(picked)) == len(picked)


@given(st.permutations(range(40)), st.integers(0, 5))
@settings(max_examples=30, deadline=None)
def test_order_of_rows_does_not_matter(order, seed):
    """Shuffling the rows shuffles the split with them and changes nothing else."""
    groups = np.array([f"g{i // 3}" for i in range(40)])
    labels = np.array([f"l{i % 2}" for i in range(40)])
    split = split_by_group(groups, labels, 9, seed)
    order = list(order)
    np.testing.assert_array_equal(
        split_by_group(groups[order], labels[order], 9, seed), split[order]
    )


def test_labels_keep_their_shares():
    """Of 90 images of one label and 110 of another, 20 held out are 9 and 11."""
    labels = np.array(["a"] * 90 + ["b"] * 110)
    split = split_by_group(NAMES, labels, 20, 1)
    assert Counter(labels[split == "validation"]) == {"a": 9, "b": 11}


def test_what_one_label_cannot_give_another_does():
    """Label a comes in pairs and cannot give 1 of 2; b makes up for it, so 3 are held out."""
    groups = ["p", "p", "q", "q", *"rstu"]
    split = split_by_group(groups, ["a"] * 4 + ["b"] * 4, 3, 0)
    assert (split == "validation").sum() == 3


def test_seeds_differ_and_repeat():
    """A seed gives the same split again; two seeds overlap no more than chance lets them."""
    alone, again, two = (split_by_group(NAMES, ["x"] * 200, 100, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(alone, again)
    assert 60 < (alone == two).sum() < 140


def test_known_split():
    """The split of fixed names is pinned: a change would silently move every published number."""
    split = split_by_group([f"{i}" for i in range(10)], ["x"] * 10, 3, 1)
    assert np.flatnonzero(split == "validation").tolist() == [4, 7, 8]


@pytest.mark.parametrize("validation", [0, 200, 500])
def test_an_empty_side_is_refused(validation):
    """A split that leaves nothing to train or to validate on names the key to change."""
    with pytest.raises(InputError, match="split: validation"):
        split_by_group(NAMES, ["x"] * 200, validation, 1)


def test_one_large_group_is_refused():
    """Images that all belong to one group cannot be split."""
    with pytest.raises(InputError, match="1 groups"):
        split_by_group(["g"] * 9, ["x"] * 9, 3, 1)


@given(st.integers(1, 80), st.integers(1, 80), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_three_sides_have_the_requested_sizes(validation, test, seed):
    """By image and by groups of one, validation and test have exactly their numbers."""
    for by in ("image", "group"):
        split = split_images(NAMES, ["x"] * 200, validation, seed, test, by)
        sizes = Counter(split.tolist())
        assert sizes == {"train": 200 - validation - test, "validation": validation, "test": test}


@given(st.lists(st.integers(0, 15), min_size=30, max_size=60), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_no_group_is_on_two_of_three_sides(group_numbers, seed):
    """With a test set too, each group lies wholly on one side."""
    groups = [f"g{number}" for number in group_numbers]
    try:
        split = split_images(groups, ["x"] * len(groups), 6, seed, test=9)
    except InputError:
        return
    assert set(Counter(group for group, _ in set(zip(groups, split, strict=True))).values()) == {1}


def test_split_by_order_is_numpys_shuffle():
    """The sides are cut from the order that seeding and shuffling give: 70, 10, 20 %."""
    order = np.arange(50)
    np.random.RandomState(1).shuffle(order)
    split = split_by_order(50, 5, 10, seed=1)
    assert (split[order[:35]] == "train").all()
    assert (split[order[35:40]] == "validation").all()
    assert (split[order[40:]] == "test").all()


def test_a_test_set_leaves_the_old_split_alone():
    """Without `test` and `by`, the split is the one by group as it always was."""
    labels = ["a", "b"] * 100
    np.testing.assert_array_equal(
        split_images(NAMES, labels, 20, 1), split_by_group(NAMES, labels, 20, 1)
    )


@pytest.mark.parametrize("by", ["image", "group"])
def test_too_many_held_out_are_refused(by):
    """Validation and test that leave nothing for training name both keys."""
    with pytest.raises(InputError, match="150 validation and 50 test images of 200 leave none"):
        split_images(NAMES, ["x"] * 200, 150, 1, 50, by)


@given(st.integers(2, 200), st.integers(0, 9))
@settings(max_examples=50, deadline=None)
def test_subset_keeps_the_shares(n, seed):
    """A subset has exactly n images, and each stratum its share to within one image."""
    strata = [("train", "a")] * 120 + [("train", "b")] * 56 + [("validation", "a")] * 24
    chosen = choose_subset(NAMES, strata, n, seed)
    assert chosen.sum() == n
    taken = Counter(stratum for stratum, kept in zip(strata, chosen, strict=True) if kept)
    for stratum, count in Counter(strata).items():
        assert abs(taken[stratum] - count * n / 200) < 1
    np.testing.assert_array_equal(choose_subset(NAMES, strata, n, seed), chosen)


def test_subset_does_not_depend_on_the_order():
    """The same images are chosen from reversed rows."""
    strata = [("train",)] * 150 + [("validation",)] * 50
    chosen = choose_subset(NAMES, strata, 30, 4)
    np.testing.assert_array_equal(choose_subset(NAMES[::-1], strata[::-1], 30, 4), chosen[::-1])
