"""The Normalized Cut: solver against closed forms and SciPy, and the cut of relevance maps."""

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from segxai.segmenters.ncut import relevance_affinity, segment
from segxai.segmenters.spectral import MIN_EIGENGAP, normalized_cut


def two_cliques(m: int, n: int, bridge: float) -> np.ndarray:
    """Graph of two complete graphs of m and n nodes, joined everywhere by weak edges."""
    affinity = np.full((m + n, m + n), bridge)
    affinity[:m, :m] = affinity[m:, m:] = 1.0
    return affinity


def reference(affinity: np.ndarray) -> tuple[np.ndarray, float]:
    """Second generalised eigenvector as the official codes take it, with the eigengap."""
    degree = np.diag(affinity.sum(axis=1))
    values, vectors = scipy.linalg.eigh(degree - affinity, degree, subset_by_index=(0, 2))
    return vectors[:, 1], values[2] - values[1]


@pytest.mark.parametrize(("m", "n"), [(5, 9), (80, 120)])
def test_two_cliques_are_separated(m, n):
    """The cut of two weakly joined cliques is those cliques, for both solvers."""
    vector, eigengap = normalized_cut(two_cliques(m, n, 0.01))
    side = vector > vector.mean()
    assert side[:m].all() != side[m:].all()
    assert len(set(side[:m])) == len(set(side[m:])) == 1
    assert eigengap > 0.5


def test_eigenvalues_of_a_path_are_known():
    """A path of n nodes has λₖ = 1 − cos(πk/(n−1)), k = 0, 1, …; a cycle has λ₂ = λ₃."""
    n = 101
    path = np.diag(np.ones(n - 1), 1)
    path += path.T
    _, eigengap = normalized_cut(path)
    expected = np.cos(np.pi / (n - 1)) - np.cos(2 * np.pi / (n - 1))
    assert eigengap == pytest.approx(expected, abs=1e-10)
    cycle = path.copy()
    cycle[0, -1] = cycle[-1, 0] = 1.0
    assert normalized_cut(cycle)[1] < MIN_EIGENGAP


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(70, 160))
def test_agrees_with_scipy_eigh(seed, n):
    """The vector equals that of `scipy.linalg.eigh(D − W, D)` up to sign, and so does the gap."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.normal(0, 0.3, (n // 3, 2)), rng.normal(2, 0.3, (n - n // 3, 2))])
    affinity = np.exp(-((points[:, None] - points) ** 2).sum(axis=-1))
    vector, eigengap = normalized_cut(affinity)
    expected, gap = reference(affinity)
    assert eigengap == pytest.approx(gap, abs=1e-8)
    expected *= np.sign(expected[np.abs(expected).argmax()])
    np.testing.assert_allclose(vector, expected, atol=1e-6 * np.abs(expected).max() / min(1, gap))


def test_sparse_and_dense_affinities_agree():
    """A SciPy sparse array gives the vector of the same dense array."""
    affinity = two_cliques(60, 90, 0.0)
    affinity[0, 60:70] = affinity[60:70, 0] = 0.5
    dense, gap = normalized_cut(affinity)
    sparse, sparse_gap = normalized_cut(scipy.sparse.csr_array(affinity))
    np.testing.assert_allclose(sparse, dense, atol=1e-8)
    assert sparse_gap == pytest.approx(gap, abs=1e-8)


def test_vector_is_normalised_and_its_sign_fixed():
    """Holds xᵀDx = 1 and xᵀD1 = 0, and the entry of largest magnitude is positive."""
    affinity = two_cliques(70, 40, 0.02)
    degree = affinity.sum(axis=1)
    vector, _ = normalized_cut(affinity)
    assert vector @ (degree * vector) == pytest.approx(1)
    assert vector @ degree == pytest.approx(0, abs=1e-9)
    assert vector[np.abs(vector).argmax()] > 0


@pytest.mark.parametrize("n", [20, 100])
def test_disconnected_graph_is_cut_between_its_components(n):
    """Two components without any edge between them are the two sides, though λ₂ = λ₁ = 0."""
    vector, _ = normalized_cut(two_cliques(n, n + 5, 0.0))
    side = vector > vector.mean()
    assert side[:n].all() != side[n:].all()
    assert len(set(side[:n])) == len(set(side[n:])) == 1


def test_scaling_and_renumbering_do_not_change_the_partition():
    """The partition is invariant to the unit of weights and equivariant to the order of nodes."""
    rng = np.random.default_rng(3)
    affinity = two_cliques(60, 45, 0.05) * rng.uniform(0.8, 1, (105, 105))
    affinity = (affinity + affinity.T) / 2
    order = rng.permutation(105)
    base = normalized_cut(affinity)[0] > 0
    scaled = normalized_cut(1e3 * affinity)[0] > 0
    shuffled = normalized_cut(affinity[np.ix_(order, order)])[0] > 0
    assert (scaled == base).all()
    assert (shuffled == base[order]).all()


@pytest.mark.parametrize(
    ("affinity", "words"),
    [
        (np.ones((4, 5)), "n, n"),
        (np.ones((2, 2)), "n ≥ 3"),
        (-np.ones((4, 4)), "non-negative"),
        (np.full((4, 4), np.nan), "finite"),
        (np.triu(np.ones((4, 4))), "symmetric"),
        (np.diag([1.0, 1, 1, 0]), "node 3 has no edge"),
    ],
)
def test_impossible_affinities_are_refused(affinity, words):
    """Arrays that are not affinities are refused with the reason."""
    with pytest.raises(ValueError, match=words):
        normalized_cut(affinity)


def test_relevance_affinity_is_the_stated_formula():
    """w_ij = exp(−Δr²/σr² − Δx²/σx²), checked on single entries."""
    cells = np.array([[0.0, 1.0], [0.5, 0.25]])
    affinity = relevance_affinity(cells, 0.5, 0.5, None)
    assert affinity[0, 1] == pytest.approx(np.exp(-((1 / 0.5) ** 2) - (0.5 / 0.5) ** 2))
    assert affinity[0, 3] == pytest.approx(np.exp(-((0.25 / 0.5) ** 2) - 2 * (0.5 / 0.5) ** 2))
    assert relevance_affinity(cells, 0.5, None, None)[0, 1] == pytest.approx(np.exp(-4))
    assert (np.diag(affinity) == 1).all()


def test_a_local_graph_joins_neighbours_alone():
    """Within the radius, at least one cell, w_ij is that of all pairs; beyond it there is no edge.

    A radius as long as the diagonal joins all pairs.
    """
    cells = np.random.default_rng(0).random((4, 5))
    pairs = relevance_affinity(cells, 0.5, 0.3, None)
    places = np.stack(np.indices(cells.shape), axis=-1).reshape(-1, 2)
    distance = np.linalg.norm(places[:, None] - places, axis=-1)
    for radius, reach in [(0.01, 1), (0.4, 2), (2, 10)]:
        local = relevance_affinity(cells, 0.5, 0.3, radius)
        np.testing.assert_array_equal(local, np.where(distance <= reach, pairs, 0))


def test_cut_of_a_bright_square_is_the_square():
    """The foreground is the side of higher relevance, and empty where the map is constant."""
    grey = np.zeros((112, 112))
    grey[28:56, 40:84] = 1.0
    for radius in (None, 0.1):
        mask = segment(grey, 28, 0.3, None, radius)
        assert (mask == (grey > 0.5)).mean() > 0.98
    assert not segment(np.full((56, 56), 0.3), 28, 0.3, None, None).any()
