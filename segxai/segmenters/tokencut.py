"""TokenCut (Wang et al., CVPR 2022): the salient object in the token features of a transformer."""

from typing import NamedTuple

import numpy as np
from scipy import ndimage
from skimage.transform import resize

from segxai.segmenters.bilateral import snap
from segxai.segmenters.ncut import normalized_cut

# Weight of the edge between tokens that are not alike; it keeps the graph connected.
WEAK_EDGE = 1e-5


class NoPartition(ValueError):
    """All edges of the token graph are equal, so that no partition is better than another."""


class Cut(NamedTuple):
    """One object cut from a token grid.

    Attributes
    ----------
    mask : ndarray of shape (h, w), bool
    eigengap : float
        λ₃ − λ₂ of the graph. Below :data:`segxai.segmenters.ncut.MIN_EIGENGAP` the dense solver was
        asked and the graph does not define the partition.
    """

    mask: np.ndarray
    eigengap: float


def tokencut(features: np.ndarray, tau: float = 0.2) -> np.ndarray:
    """Mask of the most salient object by a Normalized Cut of the tokens (Wang et al., §3.2).

    Parameters
    ----------
    features : ndarray of shape (h, w, d), float
        One feature per token: the keys of the last attention block.
    tau
        Tokens of a higher cosine similarity are joined by an edge of weight 1.

    Returns
    -------
    ndarray of shape (h, w), bool
        Connected, never empty.

    Raises
    ------
    NoPartition
        If all tokens are alike.
    ValueError
        If the features are not finite or not a grid of at least three tokens.
    """
    return cut_tokens(features, tau).mask


def token_affinity(features: np.ndarray, tau: float) -> np.ndarray:
    """Affinity (h·w, h·w) of tokens: 1 where their cosine similarity exceeds τ, else 1e-5.

    The similarity of a feature of zeros to any is 0. Parameters and errors as of :func:`tokencut`.
    """
    if features.ndim != 3 or features.shape[0] * features.shape[1] < 3:
        raise ValueError(
            f"features must be (h, w, d) with at least 3 tokens, got {features.shape}; "
            "use a larger input."
        )
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or infinite values; check the network's weights.")
    tokens = features.reshape(-1, features.shape[2])
    tokens = tokens.astype(np.result_type(tokens, np.float32))
    tokens /= np.maximum(np.linalg.norm(tokens, axis=1, keepdims=True), 1e-12)
    alike = tokens @ tokens.T > tau
    if alike.all() or not alike.any():
        raise NoPartition(
            f"all tokens are {'alike' if alike.any() else 'unlike'} at tau = {tau}, so that there "
            "is nothing to cut; centre the features or change tau."
        )
    return np.where(alike, 1.0, WEAK_EDGE)


def cut_tokens(features: np.ndarray, tau: float, avoid_corners: bool = False) -> Cut:
    """Bipartition of the token graph, and the object on its foreground side.

    The eigenvector is split at its mean; the side of its entry of largest magnitude is the
    foreground, and the object is the 4-connected component of that entry. With `avoid_corners`
    a foreground that holds at least three corners of the grid gives way to the other side
    (MaskCut). Other parameters and errors as of :func:`tokencut`.
    """
    vector, eigengap = normalized_cut(token_affinity(features, tau))
    # The solver's sign makes the entry of largest magnitude the largest entry.
    vector = vector.reshape(features.shape[:2])
    side = vector > vector.mean()
    if avoid_corners and side[[0, 0, -1, -1], [0, -1, 0, -1]].sum() >= 3:
        vector, side = -vector, ~side
    components, _ = ndimage.label(side)
    return Cut(components == components.flat[vector.argmax()], eigengap)


def segment(
    features: np.ndarray, image: np.ndarray, tau: float, bilateral: dict | None
) -> tuple[np.ndarray, list[Cut]]:
    """Mask of an image at its pixels, by the nearest token and, if asked, the bilateral solver.

    Parameters
    ----------
    features : ndarray of shape (h, w, d), float
    image : ndarray of shape (H, W, 3), uint8
    tau
        See :func:`tokencut`.
    bilateral
        Settings of :func:`segxai.segmenters.bilateral.bilateral_solver`; None leaves it out.

    Returns
    -------
    mask : ndarray of shape (H, W), bool
    cuts : list of one Cut
    """
    cut = cut_tokens(features, tau)
    mask = resize(cut.mask, image.shape[:2], order=0)
    return mask if bilateral is None else snap(mask, image, **bilateral), [cut]
