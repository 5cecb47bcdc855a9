"""Graph of the tokens of a vision transformer, its Normalized Cut, and facts about cuts."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from segxai.segmenters.spectral import MIN_EIGENGAP, normalized_cut
from segxai.views.affinity import cosines

# Weight of the edge between dissimilar tokens; it keeps the graph connected.
WEAK_EDGE = 1e-5


class NoPartition(ValueError):
    """All edges of the token graph are equal, so that no partition is better than another."""


class Cut(NamedTuple):
    """One object (h, w), bool, cut from a token grid, and the graph's eigengap λ₃ − λ₂.

    Below `MIN_EIGENGAP` the dense solver was used, and the graph does not define the partition.
    """

    mask: np.ndarray
    eigengap: float


def token_affinity(features: np.ndarray, tau: float) -> np.ndarray:
    """Affinity (h·w, h·w) of tokens: 1 where their cosine similarity exceeds τ, else 1e-5.

    Parameters and errors: see :func:`cut_tokens`.
    """
    if features.ndim != 3 or features.shape[0] * features.shape[1] < 3:
        raise ValueError(
            f"features must be (h, w, d) with at least 3 tokens, got {features.shape}; "
            "use a larger input."
        )
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or infinite values; check the network's weights.")
    alike = cosines(features) > tau
    if alike.all() or not alike.any():
        raise NoPartition(
            f"all tokens are {'alike' if alike.any() else 'unlike'} at tau = {tau}, so that "
            "no cut exists; centre the features or change tau."
        )
    return np.where(alike, 1.0, WEAK_EDGE)


def cut_tokens(features: np.ndarray, tau: float, avoid_corners: bool = False) -> Cut:
    """Bipartition of the token graph, and the object on its foreground side.

    The eigenvector is split at its mean; the side of its entry of largest magnitude is the
    foreground, and the object is the 4-connected component of that entry. With `avoid_corners`
    a foreground that holds at least three corners of the grid gives way to the other side
    (MaskCut).

    Parameters
    ----------
    features : ndarray of shape (h, w, d), float
        One feature per token: the keys of the last attention block.
    tau
        Tokens of a higher cosine similarity are joined by an edge of weight 1.

    Returns
    -------
    Cut
        Its mask is connected and never empty.

    Raises
    ------
    NoPartition
        If all tokens are alike.
    ValueError
        If the features are not finite or not a grid of at least three tokens.
    """
    vector, eigengap = normalized_cut(token_affinity(features, tau))
    # The solver's sign makes the entry of largest magnitude the largest entry.
    vector = vector.reshape(features.shape[:2])
    side = vector > vector.mean()
    if avoid_corners and side[[0, 0, -1, -1], [0, -1, 0, -1]].sum() >= 3:
        vector, side = -vector, ~side
    components, _ = ndimage.label(side)
    return Cut(components == components.flat[vector.argmax()], eigengap)


def cut_facts(cuts: Sequence[Cut]) -> dict:
    """Facts about the cuts of an image; `dense` counts the uses of the dense solver."""
    eigengaps = [cut.eigengap for cut in cuts]
    return {
        "objects": sum(bool(cut.mask.any()) for cut in cuts),
        "eigengap": min(eigengaps),
        "dense": sum(eigengap < MIN_EIGENGAP for eigengap in eigengaps),
        "problem": "",
    }


def no_cut(image: np.ndarray, problem: NoPartition) -> tuple[np.ndarray, dict]:
    """Empty mask of an image (H, W, …) without a cut, and facts with the reason."""
    facts = {"objects": 0, "eigengap": np.nan, "dense": 0, "problem": str(problem)}
    return np.zeros(image.shape[:2], bool), facts
