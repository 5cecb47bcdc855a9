"""Relevance diffused over keys: closed forms, and the series that it sums."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segxai.explain.maps import StoredMap
from segxai.views import diffused
from segxai.views.affinity import cosines, key_affinity
from segxai.views.diffused import diffuse

SHAPE = (5, 4)
seeds = st.integers(0, 2**32 - 1)


def graph(seed: int) -> np.ndarray:
    """Affinity of twenty random keys."""
    return key_affinity(np.random.default_rng(seed).standard_normal((*SHAPE, 3)), 2)


def blocks(labels: np.ndarray) -> np.ndarray:
    """Keys (h, w, d) of one direction per label, orthogonal to each other."""
    return np.eye(labels.max() + 1)[labels]


def test_affinity_is_the_stated_formula():
    """The power of a positive cosine, 0 for a negative one, and 1 on the diagonal, also of zero."""
    keys = np.array([[[1.0, 0], [1, 1]], [[-2, 0], [0, 0]]])
    half = np.sqrt(0.5)
    expected = [[1, half, -1, 0], [half, 1, -half, 0], [-1, -half, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(cosines(keys), expected, atol=1e-12)
    expected = [[1, 0.25, 0, 0], [0.25, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(key_affinity(keys, 4), expected, atol=1e-12)


@given(seeds)
def test_without_diffusion_the_map_comes_back(seed):
    """α = 0 is the map itself, and a small α nearly so."""
    relevance = np.random.default_rng(seed).random(SHAPE)
    np.testing.assert_allclose(diffuse(relevance, graph(seed), 0), relevance, rtol=1e-12)
    np.testing.assert_allclose(diffuse(relevance, graph(seed), 1e-6), relevance, atol=1e-5)


@given(seeds, st.floats(0, 0.99))
def test_a_constant_map_stays_constant(seed, alpha):
    """The rows of D⁻¹W sum to 1, whatever the degrees of the cells."""
    spread = diffuse(np.full(SHAPE, 0.3), graph(seed), alpha)
    np.testing.assert_allclose(spread, 0.3, rtol=1e-9)


@pytest.mark.parametrize("alpha", [0.3, 0.9])
def test_two_blocks_of_equal_keys_share_their_means(alpha):
    """Within a block f = (1 − α) r + α mean(r); nothing passes to the other block."""
    labels = np.zeros(SHAPE, int)
    labels[:, 2:] = 1
    relevance = np.random.default_rng(0).random(SHAPE)
    means = np.array([relevance[labels == label].mean() for label in (0, 1)])
    spread = diffuse(relevance, key_affinity(blocks(labels), 8), alpha)
    np.testing.assert_allclose(spread, (1 - alpha) * relevance + alpha * means[labels])


@settings(max_examples=20)
@given(seeds, st.floats(0, 0.9))
def test_diffusion_is_the_end_of_a_random_walk(seed, alpha):
    """It equals (1 − α) Σ αᵗ Pᵗ r, and so stays between the map's extremes."""
    relevance, affinity = np.random.default_rng(seed).random(SHAPE), graph(seed)
    step = affinity / affinity.sum(axis=1, keepdims=True)
    walk, expected = relevance.ravel(), np.zeros(relevance.size)
    for t in range(300):
        expected += (1 - alpha) * alpha**t * walk
        walk = step @ walk
    spread = diffuse(relevance, affinity, alpha)
    np.testing.assert_allclose(spread.ravel(), expected, atol=1e-9)
    assert relevance.min() - 1e-9 <= spread.min() <= spread.max() <= relevance.max() + 1e-9


def test_the_view_marks_the_whole_object_of_a_relevant_spot():
    """Relevance in a corner of a block of equal keys reaches all of the block, and nothing else."""
    labels = np.zeros((8, 8), int)
    labels[2:5, 3:7] = 1
    magnitude = np.zeros((32, 32), np.float32)
    magnitude[9:11, 13:15] = 1
    shown = diffused.view(
        StoredMap(magnitude, magnitude), (8, 8), keys=blocks(labels),
        clip_percentile=100, sigma=0, power=8, alpha=0.99,
    )  # fmt: skip
    assert shown[labels == 1].min() > 2 * shown[labels == 0].max()
