"""Normalized Cut (Shi & Malik, PAMI 2000): solver for two parts, and for more."""

import numpy as np
import scipy.linalg
import scipy.sparse
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

# Below this order a dense decomposition is faster.
DENSE_ORDER = 64
# If the second and third eigenvalues lie closer, Lanczos returns a mixture of their vectors.
MIN_EIGENGAP = 1e-8


def normalized_cut(affinity) -> tuple[np.ndarray, float]:
    r"""Second generalised eigenvector of a graph: the relaxed Normalized Cut (ExplainSeg eq. 2).

    .. math:: (D - W) x = \lambda D x

    With :math:`S = D^{-1/2} W D^{-1/2}` and :math:`y = D^{1/2} x` this is :math:`S y = (1-\lambda)
    y`. The trivial solution :math:`y_1 = D^{1/2} \mathbf 1` is known and deflated, and Lanczos
    iterations find the two eigenvectors after it; a dense solver is used for small graphs, if
    Lanczos does not converge, and if the eigengap is too small for it.

    Parameters
    ----------
    affinity : ndarray or SciPy sparse array of shape (n, n), n ≥ 3
        W: symmetric, non-negative, every row with a positive sum.

    Returns
    -------
    vector : ndarray of shape (n,), float64
        x with :math:`x^T D x = 1`; its entry of largest magnitude is positive.
    eigengap : float
        λ₃ − λ₂ ≥ 0; near 0 the graph does not define a partition.

    Raises
    ------
    ValueError
        If the affinity is not square, symmetric, finite and non-negative, or a node has no edge.
    """
    degree = _check(affinity)
    n = len(degree)
    scale = 1 / np.sqrt(degree)
    trivial = np.sqrt(degree / degree.sum())
    if n <= DENSE_ORDER:
        y, eigengap = _dense(affinity, scale)
    else:
        try:
            y, eigengap = _lanczos(affinity, scale, trivial)
        except ArpackError:
            eigengap = 0.0
        if eigengap < MIN_EIGENGAP:
            y, eigengap = _dense(affinity, scale)
    x = y * scale
    return x * np.sign(x[np.abs(x).argmax()]), eigengap


def spectral_clusters(affinity: np.ndarray, count: int) -> np.ndarray:
    r"""Clusters of a graph's nodes: the relaxed Normalized Cut into several parts.

    The eigenvectors of the `count` largest eigenvalues of :math:`S = D^{-1/2} W D^{-1/2}` are
    rotated so that each is large on one cluster, by a pivoted QR decomposition (Damle, Minden &
    Ying, Information and Inference 8:181, 2019, algorithm 1). Unlike k-means, it has no start.

    Parameters
    ----------
    affinity : ndarray of shape (n, n)
        W: symmetric, non-negative, every row with a positive sum.
    count
        Number of clusters; n if the graph has fewer nodes.

    Returns
    -------
    ndarray of shape (n,), int
        Cluster of each node, from 0 on. A cluster that no node is nearest to is left out.
    """
    n = len(affinity)
    count = min(count, n)
    scale = 1 / np.sqrt(affinity.sum(axis=1))
    # Single precision halves the time, and the rotation needs no more.
    normalized = (scale[:, None] * affinity * scale).astype(np.float32)
    _, vectors = scipy.linalg.eigh(normalized, subset_by_index=(n - count, n - 1))
    _, nodes = scipy.linalg.qr(vectors.T, mode="r", pivoting=True)
    u, _, v = scipy.linalg.svd(vectors[nodes[:count]].T)
    _, labels = np.unique(np.abs(vectors @ (u @ v)).argmax(axis=1), return_inverse=True)
    return labels


def _check(affinity) -> np.ndarray:
    """Validate W and return the degrees of its nodes."""
    if affinity.ndim != 2 or affinity.shape[0] != affinity.shape[1] or affinity.shape[0] < 3:
        raise ValueError(f"affinity must be (n, n) with n ≥ 3, got {affinity.shape}.")
    entries = affinity.data if scipy.sparse.issparse(affinity) else affinity
    # NaN fails both comparisons, which need no further array as large as the affinity.
    if not (entries.min(initial=0) >= 0 and entries.max(initial=0) < np.inf):
        raise ValueError("affinity must be finite and non-negative.")
    asymmetry = _asymmetry(affinity)
    if asymmetry > 1e-10 * max(1.0, entries.max(initial=0)):
        raise ValueError(f"affinity must be symmetric; it differs by {asymmetry:.3g}.")
    degree = np.asarray(affinity.sum(axis=1), dtype=np.float64).ravel()
    if not (degree > 0).all():
        raise ValueError(f"node {int(np.argmin(degree))} has no edge; leave it out of the graph.")
    return degree


def _asymmetry(affinity) -> float:
    """Largest |w_ij − w_ji|."""
    # Most matrices are exactly symmetric. Tiles show it without the three copies of a difference.
    if not scipy.sparse.issparse(affinity) and scipy.linalg.issymmetric(affinity):
        return 0.0
    return float(abs(affinity - affinity.T).max())


def _lanczos(affinity, scale: np.ndarray, trivial: np.ndarray) -> tuple[np.ndarray, float]:
    def product(y):
        y = y.ravel()
        # Eigenvalues of S lie in −1…1: the factor 2 moves the trivial one from 1 to the lower end.
        return scale * (affinity @ (scale * y)) - 2 * trivial * (trivial @ y)

    n = len(scale)
    operator = LinearOperator((n, n), matvec=product, dtype=np.float64)
    start = np.random.default_rng(0).standard_normal(n)
    values, vectors = eigsh(operator, k=2, which="LA", v0=start)
    order = np.argsort(values)
    return vectors[:, order[1]], float(values[order[1]] - values[order[0]])


def _dense(affinity, scale: np.ndarray) -> tuple[np.ndarray, float]:
    dense = affinity.toarray() if scipy.sparse.issparse(affinity) else np.asarray(affinity)
    normalized = scale[:, None] * dense * scale
    n = len(scale)
    # The top eigenvector is the trivial one; a disconnected graph has several.
    values, vectors = scipy.linalg.eigh(normalized, subset_by_index=(n - 3, n - 1))
    trivial = (1 / scale) / np.linalg.norm(1 / scale)
    if values[2] - values[1] > MIN_EIGENGAP:
        return vectors[:, 1], float(values[1] - values[0])
    # In a degenerate top space, take the direction orthogonal to the trivial vector.
    plane = vectors[:, 1:] - np.outer(trivial, trivial @ vectors[:, 1:])
    directions, _, _ = np.linalg.svd(plane, full_matrices=False)
    return directions[:, 0], float(values[1] - values[0])
