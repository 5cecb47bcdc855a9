"""Clusters of keys: planted ones are found, and the choice among them is the best of all."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segxai.metrics.overlap import dice
from segxai.segmenters import best_cluster, clusters
from segxai.segmenters.clusters import most_relevant, token_clusters
from segxai.segmenters.spectral import spectral_clusters

seeds = st.integers(0, 2**32 - 1)


def planted(seed: int, count: int, shape: tuple[int, int] = (9, 7)) -> np.ndarray:
    """Random labels of cells, none missing."""
    rng = np.random.default_rng(seed)
    cells = np.append(np.arange(count), rng.integers(0, count, shape[0] * shape[1] - count))
    return rng.permutation(cells).reshape(shape)


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two labellings are equal up to the names of the labels."""
    return len({*zip(a.flat, b.flat, strict=True)}) == len({*a.flat}) == len({*b.flat})


def unions(labels: np.ndarray, several: bool) -> list[np.ndarray]:
    """Every cluster, or every union of clusters but the whole."""
    names = np.unique(labels)
    sizes = range(1, len(names)) if several else [1]
    return [np.isin(labels, chosen) for n in sizes for chosen in combinations(names, n)]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_blocks_of_equal_keys_are_the_clusters(count):
    """Tokens of one key are one cluster, wherever they lie, for two blocks and for more."""
    labels = planted(count, count)
    assert same_partition(token_clusters(np.eye(count)[labels], count, 8), labels)


@settings(max_examples=20)
@given(seeds)
def test_noisy_blocks_are_found_in_any_order(seed):
    """Joined by weaker edges, blocks are the clusters still, and order and unit do not matter."""
    rng, labels = np.random.default_rng(seed), planted(seed, 4).ravel()
    affinity = np.where(labels[:, None] == labels, 1, 0.05) * rng.uniform(0.8, 1, (63, 63))
    affinity = (affinity + affinity.T) / 2
    order = rng.permutation(63)
    assert same_partition(spectral_clusters(affinity, 4), labels)
    shuffled = spectral_clusters(1e3 * affinity[np.ix_(order, order)], 4)
    assert same_partition(shuffled, labels[order])


def test_there_are_no_more_clusters_than_tokens():
    """Six tokens asked for eight clusters are six."""
    labels = np.arange(6).reshape(2, 3)
    assert same_partition(token_clusters(np.eye(6)[labels], 8, 8), labels)


@pytest.mark.parametrize("several", [True, False])
@given(seeds)
def test_the_chosen_clusters_part_the_map_best(several, seed):
    """Of all unions, or all clusters, of higher relevance: the largest variance between classes."""
    labels, relevance = planted(seed, 5), np.random.default_rng(seed).random((9, 7))
    chosen = most_relevant(labels, relevance, several)
    between = {
        inside.mean()
        * (1 - inside.mean())
        * (relevance[inside].mean() - relevance[~inside].mean()) ** 2
        for inside in unions(labels, several)
        if relevance[inside].mean() > relevance[~inside].mean()
    }
    difference = relevance[chosen].mean() - relevance[~chosen].mean()
    assert difference > 0
    share = chosen.mean()
    assert share * (1 - share) * difference**2 == pytest.approx(max(between))


@pytest.mark.parametrize("several", [True, False])
@settings(max_examples=30)
@given(seeds)
def test_the_bound_is_the_best_of_all_choices(several, seed):
    """No union of clusters, or no cluster, has a higher Dice, nor has what a map chooses."""
    rng, labels = np.random.default_rng(seed), planted(seed, 5)
    truth, keys = rng.random((9, 7)) < 0.4, np.eye(5)[labels]
    truth[0, 0] = True
    asked = {"count": 5, "power": 8, "several": several}
    bound = dice(best_cluster.segment(truth, keys, truth, **asked), truth)
    tried = [dice(mask, truth) for mask in unions(labels, several)]
    # The whole is a union, too.
    whole = [dice(np.ones_like(truth), truth)] if several else []
    assert bound == pytest.approx(max(tried + whole))
    assert dice(clusters.segment(rng.random((9, 7)), keys, **asked), truth) <= bound + 1e-12


def test_the_bound_of_an_unknown_outline_is_empty():
    """Where the truth is unknown, nothing is marked."""
    keys = np.eye(3)[planted(0, 3)]
    asked = {"count": 3, "power": 8, "several": True}
    assert not best_cluster.segment(np.ones((9, 7)), keys, None, **asked).any()
