"""LIME of images: a linear model of a target in which superpixels are kept."""

from collections.abc import Iterable, Iterator

import numpy as np
import torch

from segxai.explain.removal import n_fills
from segxai.explain.stream import Attribution, Request
from segxai.explain.superpixels import coalition_scores, spread, superpixels
from segxai.networks.network import Network

ABOUT = {
    "title": "LIME", "cites": "arXiv:1602.04938", "needs": ["forward", "background"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": False,
    "settings": {
        "segments": {"type": "integer", "minimum": 2, "default": 50,
                     "description": "Superpixels that SLIC is asked for"},
        "passes": {"type": "integer", "minimum": 2, "default": 500,
                   "description": "Forward passes per image: the image, and random parts of it"},
        "ridge": {"type": "number", "minimum": 0, "default": 1,
                  "description": "Weight of the squared coefficients"},
        "kernel_width": {
            "type": "number", "exclusiveMinimum": 0, "default": 0.25,
            "description": "Cosine distance from the whole image over which weights of parts fall",
        },
        "fill": {
            "enum": ["blur", "black", "mean", "validation"], "default": "blur",
            "description": "What is removed is blurred, black, the mean colour, or that of "
                           "validation images, over which values are averaged: that many passes",
        },
        "background": {"type": "integer", "minimum": 1, "default": 5,
                       "description": "Validation images, drawn by seed, of `fill: validation`"},
        "batch_size": {"type": "integer", "minimum": 1, "default": 16,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    segments: int,
    passes: int,
    ridge: float,
    kernel_width: float,
    fill: str,
    background: torch.Tensor,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets by a weighted ridge regression on what is kept of the image.

    .. math:: \min_{\phi, c} \sum_k w_k \left( F(x_{z_k}) - c - \phi \cdot z_k \right)^2
              + \lambda \|\phi\|^2, \quad
              w = \sqrt{\exp(-d^2 / v^2)}, \quad d = 1 - \sqrt{|z| / n}

    with z the n superpixels that are kept, each with probability ½, first all of them; d is the
    cosine distance from the whole image (Ribeiro et al., KDD 2016, arXiv:1602.04938, §3.3–3.4; λ =
    1 and v = 0.25 as in their code).

    Differs from the package ``lime`` in the target, a logit instead of a probability, in SLIC
    instead of quickshift, and in the fill, instead of the mean colour of each superpixel.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    segments, …
        Settings as of `ABOUT`: λ is the ridge, v the kernel width.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W): the coefficient of each superpixel,
        divided evenly among its pixels. They promise no sum.
    """
    for request in requests:
        labels = superpixels(network, request.inputs, segments)
        n = int(labels.max()) + 1
        kept = torch.ones(passes, n, dtype=torch.bool)
        kept[1:] = torch.randint(2, (passes - 1, n), generator=request.generator).bool()
        removed = fill, background, batch_size
        values = coalition_scores(network, request, labels, kept, *removed).numpy()
        weights = kernel(kept.double().mean(dim=1).numpy(), kernel_width)
        # Less the whole image's, equal values are exactly zero.
        phi = weighted_ridge(kept.double().numpy(), values - values[0], weights, ridge)
        map_ = spread(torch.from_numpy(phi), labels)
        forwards = passes * n_fills(fill, background)
        yield Attribution(map_, float("nan"), gradients=0, forwards=forwards)


def kernel(share: np.ndarray, width: float) -> np.ndarray:
    """Weight (m,) of parts of an image that keep a share (m,) of its superpixels, in 0…1."""
    return np.exp(-(((1 - np.sqrt(share)) / width) ** 2) / 2)


def weighted_ridge(x: np.ndarray, y: np.ndarray, weights: np.ndarray, ridge: float) -> np.ndarray:
    """Coefficients (n,) of x (m, n) in a regression of y (m,) with an intercept.

    Of several solutions without a ridge, that of the least norm.
    """
    x, y = (values - np.average(values, axis=0, weights=weights) for values in (x, y))
    n, root = x.shape[1], np.sqrt(weights)
    rows = np.vstack([x * root[:, None], np.sqrt(ridge) * np.eye(n)])
    return np.linalg.lstsq(rows, np.concatenate([y * root, np.zeros(n)]), rcond=None)[0]
