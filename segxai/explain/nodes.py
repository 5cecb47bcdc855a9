"""Quadrature nodes of Integrated Gradients on paths from black to noisy copies of an image."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

# Knee of the probe's positions: in the middle of `KNEES`, so that probes resolve both ends of it.
PROBE_KNEE = 0.1
KNEES = np.geomspace(0.01, 10, 31)


class Nodes(NamedTuple):
    """Nodes of one rule: noisy copy (n,), position in 0…1 (n,) and weight (n,) of each."""

    copies: np.ndarray
    positions: np.ndarray
    weights: np.ndarray

    def each(self) -> Iterator[tuple[int, float, float]]:
        """Copy, position and weight, node by node."""
        return zip(*(column.tolist() for column in self), strict=True)


def path_nodes(steps: int, copies: int, knee: float, level: int = 0) -> Nodes:
    r"""Place the nodes of one quadrature rule and share them among the copies of an image.

    The paths to noisy copies are alike, so their n = copies · steps nodes form one fine rule for
    the mean over copies, instead of one coarse rule for each. It is the midpoint rule in u, with

    .. math:: \alpha(u) = c \left( (1 + 1/c)^u - 1 \right), \quad
              u_i = \frac{i + 1/2}{n}, \quad i = 0 \dots n - 1

    Nodes are evenly spaced below the knee c and in geometric progression above it: a large ViT
    normalises its activations and responds to ratios of intensity, so its score changes most where
    the image leaves black; :func:`fit_knee` finds c. A weight is the width of a cell of α whose
    ends lie halfway between nodes in u.

    Parameters
    ----------
    steps
        Nodes of level 0 per copy.
    copies
        K.
    knee
        c, above 0; as it grows, nodes become even.
    level
        A level above 0 has as many nodes as all levels below it, halfway between theirs (in u) and
        each on another copy than its neighbours (three copies or more). The mean of a rule and of
        the next level is the next finer rule.

    Returns
    -------
    Nodes
        Positions ascend; weights are positive and sum to 1.
    """
    n = copies * steps * 2 ** max(level - 1, 0)
    # Level 1 alone is not made of midpoints: these are level 0.
    u = (np.arange(n) + (1.0 if level == 1 else 0.5)) / n
    edges = np.concatenate([[0.0], (u[1:] + u[:-1]) / 2, [1.0]])
    owners = (np.arange(n) + level * (1 + copies // 2)) % copies
    return Nodes(owners, _grade(u, knee), np.diff(_grade(edges, knee)))


def probe_positions(probe: int) -> np.ndarray:
    """Positions (probe + 1,) from 0 to 1 at which scores are taken to grade the nodes."""
    return _grade(np.linspace(0, 1, probe + 1), PROBE_KNEE)


def fit_knee(positions: np.ndarray, scores: np.ndarray) -> float:
    r"""Fit the density of nodes to the changes of the score along a path.

    .. math:: \hat c = \arg\max_c \sum_j |F_{j+1} - F_j| \log \int_{\alpha_j}^{\alpha_{j+1}}
              \frac{d\alpha}{(\alpha + c) \log(1 + 1/c)}

    the maximum of the likelihood if changes of the score were drawn from the density of the nodes.
    One parameter leaves nodes wherever gradients may differ without a change of the score. Nodes
    at equal variation of the score, a density without this restraint, needed a third more nodes
    for the same agreement of ranks (ViT-S/14).

    Parameters
    ----------
    positions, scores : ndarray of shape (m,)
        Ascending positions from 0 to 1, and F there.

    Returns
    -------
    float
        One of 31 knees in 0.01…10; the largest, even nodes, for a constant score.
    """
    change = np.abs(np.diff(np.asarray(scores, np.float64)))
    if not change.any():
        return float(KNEES[-1])
    share = np.diff(np.log1p(positions / KNEES[:, None]), axis=1) / np.log1p(1 / KNEES[:, None])
    return float(KNEES[np.argmax(np.log(share) @ change)])


def _grade(u: np.ndarray, knee: float) -> np.ndarray:
    return knee * np.expm1(u * np.log1p(1 / knee))
