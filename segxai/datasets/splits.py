"""Training, validation and test sides: seeded, by group, for any order of the rows."""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from segxai.job.log import InputError

TRAIN, VALIDATION, TEST = "train", "validation", "test"


def seeded_key(name: str, seed: int) -> str:
    """Random sort key of a name, independent of other names and of library versions."""
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def split_images(
    groups: Sequence[str],
    labels: Sequence[str],
    validation: int,
    seed: int,
    test: int = 0,
    by: str = "group",
    official: Sequence[str | None] = (),
) -> np.ndarray:
    """Split images into training, validation and test.

    Parameters
    ----------
    groups, labels : sequence of str, (N,)
    validation, test : int
        Number of images.
    seed : int
    by : {"group", "image", "official"}
        "group": :func:`split_by_group`, test first, then validation from the rest. "image":
        :func:`split_by_order`, which ignores groups and labels. "official":
        :func:`split_officially`.
    official : sequence of str, (N,)
        Published side of each image, "train" or "test".

    Returns
    -------
    split : ndarray of str, (N,)
        "train", "validation" or "test".
    """
    n = len(groups)
    if by == "official":
        if test:
            raise InputError(
                f"`split: test` of the data set is {test} but its test images are published; "
                "remove it, or choose another `split: by`."
            )
        return split_officially(groups, labels, official, validation, seed)
    if validation + test >= n:
        raise InputError(
            f"{validation} validation and {test} test images of {n} leave none for training; "
            "change `split: validation` or `split: test` of the data set."
        )
    if by == "image":
        return split_by_order(n, validation, test, seed)
    if not test:
        return split_by_group(groups, labels, validation, seed)
    groups, labels = np.asarray(groups, dtype=str), np.asarray(labels, dtype=str)
    rest = split_by_group(groups, labels, test, seed) == TRAIN
    split = np.full(n, TEST, dtype=f"<U{len(VALIDATION)}")
    split[rest] = split_by_group(groups[rest], labels[rest], validation, seed)
    return split


def split_by_order(n: int, validation: int, test: int, seed: int) -> np.ndarray:
    """Split `n` images in their order by NumPy's shuffle: training, validation, test.

    The split of the SegX authors' public code. NumPy keeps the numbers of this generator the
    same in all versions; it depends on the order of the images.
    """
    order = np.random.RandomState(seed).permutation(n)
    split = np.full(n, TRAIN, dtype=f"<U{len(VALIDATION)}")
    split[order[n - test - validation : n - test]] = VALIDATION
    split[order[n - test :]] = TEST
    return split


def split_officially(
    groups: Sequence[str],
    labels: Sequence[str],
    official: Sequence[str | None],
    validation: int,
    seed: int,
) -> np.ndarray:
    """Take the published test images, and draw validation by group from the other images.

    A group that is published on both sides is tested as a whole: no tested patient appears in
    training images, and no published test image is lost. Parameters and returns: see
    :func:`split_images`.
    """
    groups, labels, official = (np.asarray(column) for column in (groups, labels, official))
    if not np.isin(official, [TRAIN, TEST]).all():
        raise InputError(
            "`split: by: official` needs a published split, which this data set lacks; choose "
            "`group` or `image`."
        )
    split = np.full(len(groups), TEST, dtype=f"<U{len(VALIDATION)}")
    rest = ~np.isin(groups, groups[official == TEST])
    if validation >= rest.sum():
        raise InputError(
            f"{validation} validation images of the {rest.sum()} for training leave none; change "
            "`split: validation` of the data set."
        )
    split[rest] = split_by_group(groups[rest], labels[rest], validation, seed)
    return split


def split_by_group(
    groups: Sequence[str], labels: Sequence[str], validation: int, seed: int
) -> np.ndarray:
    """Split images into training and validation; each group stays on one side.

    Each label gives its share of validation images, to within one image where groups are single
    images; a group counts under its commonest label. The total is exactly `validation` if groups of
    these sizes add up to it, label by label, else the next lower number. Parameters and returns:
    see :func:`split_images`.
    """
    groups = np.asarray(groups, dtype=str)
    counts = pd.crosstab(groups, np.asarray(labels, dtype=str))
    # Plain integers, for the bit sets of `pick_groups`.
    sizes, stratum = counts.sum(axis=1).to_dict(), counts.idxmax(axis=1)
    held_out: list[str] = []
    n_seen = n_held_out = 0
    for label in sorted(stratum.unique()):
        members = sorted(stratum.index[stratum == label], key=lambda name: seeded_key(name, seed))
        n_seen += sum(sizes[name] for name in members)
        # Rounding the running total, not each share, passes on what one label could not give.
        target = round(n_seen * validation / len(groups)) - n_held_out
        picked = pick_groups(members, [sizes[name] for name in members], target)
        n_held_out += sum(sizes[name] for name in picked)
        held_out += picked
    if not 0 < n_held_out < len(groups):
        raise InputError(
            f"{validation} validation images of {len(groups)} in {len(sizes)} groups leave one "
            "side of the split empty; change `split: validation` of the data set."
        )
    return np.where(np.isin(groups, held_out), VALIDATION, TRAIN)


def pick_groups(names: Sequence[str], sizes: Sequence[int], target: int) -> list[str]:
    """Pick groups, the first ones rather than the last, whose sizes sum to `target`.

    If no choice reaches `target`, the sum is the largest below it. Subset sum by dynamic
    programming.
    """
    # Bit s of sums[k] is set if some of the last k groups have s images together.
    sums = [1]
    within = (1 << (target + 1)) - 1
    for size in reversed(sizes):
        sums.append((sums[-1] | sums[-1] << size) & within)
    rest = sums.pop().bit_length() - 1
    picked = []
    for name, size in zip(names, sizes, strict=True):
        others = sums.pop()
        if size <= rest and others >> (rest - size) & 1:
            picked.append(name)
            rest -= size
    return picked


def choose_subset(
    image_ids: Sequence[str], strata: Iterable[tuple[str, ...]], n: int, seed: int
) -> np.ndarray:
    """Choose `n` of N images, each stratum, such as (split, label), with its share: bool (N,).

    Shares are exact to within one image.
    """
    table = pd.DataFrame({"stratum": list(strata)})
    table["key"] = [seeded_key(name, seed) for name in image_ids]
    # Rounding the running total gives n in all.
    sizes = table.groupby("stratum").size().cumsum() * n / len(table)
    share = sizes.round().astype(int).diff().fillna(sizes.round()).astype(int)
    rank = table.sort_values("key").groupby("stratum").cumcount().sort_index()
    return (rank < table["stratum"].map(share)).to_numpy()
