"""What a network says of an image without the pixels that an attribution ranks first, or last."""

import contextlib
from collections.abc import Iterator
from itertools import chain

import numpy as np
import torch
from torch.nn import functional as F

from segxai.explain.removal import kept_scores
from segxai.explain.stream import Request
from segxai.explain.windows import spread
from segxai.metrics.squares import square_of, square_sets
from segxai.networks.network import Network

BATCH = 32  # inputs per pass


def removal_curves(
    network: Network, request: Request, attribution: np.ndarray, kind: str, steps: int, scale: str
) -> np.ndarray:
    r"""Follow a target while pixels are removed, and while they are restored, by rank.

    Pixels are ranked by the signed attribution: what speaks most for the target comes first. Those
    of equal value are ranked by noise from the request's generator. Deletion replaces the first
    k/K of them by the fill, insertion keeps the first k/K in an image that is all fill; so
    insertion is the removal of the least relevant first, read backwards, and one order of pixels
    gives both (MoRF and LeRF). Tokens are ranked by their mean.

    Parameters
    ----------
    network, request
        The input (C, S, S) and its target.
    attribution : ndarray of shape (h, w)
        Resized to the input with its sum, where it is of windows.
    kind
        Of :func:`segxai.explain.removal.kept_scores`.
    steps
        K.
    scale
        ``logit`` or ``probability``, of the target.

    Returns
    -------
    ndarray of shape (2, K + 1), float32
        The target along deletion and along insertion, by 2K passes of the network.
    """
    x, values = request.inputs, torch.from_numpy(attribution.astype(np.float64))[None, None]
    values = spread(values, x.shape[-2:])
    if kind == "tokens":
        values = F.avg_pool2d(values, network.module.patch_embed.patch_size)
    ties = torch.rand(values.numel(), generator=request.generator).numpy()
    rank = np.empty(values.numel())
    rank[np.lexsort((ties, -values.flatten().numpy()))] = np.arange(rank.size)
    full = torch.from_numpy(rank).view(values.shape)
    full = F.interpolate(full, x.shape[-2:], mode="nearest")[0, 0].to(x.device)
    counts = np.linspace(0, rank.size, steps + 1).round().tolist()
    # The ends of both are the image and the fill.
    kept = chain((full >= k for k in counts), (full < k for k in counts[1:-1]))
    with _probabilities(network) if scale == "probability" else contextlib.nullcontext():
        followed = kept_scores(network, request, kind, kept, BATCH).float().cpu().numpy()
    falling, rising = followed[: steps + 1], followed[steps + 1 :]
    return np.stack([falling, np.concatenate([falling[-1:], rising, falling[:1]])])


def square_falls(network: Network, request: Request, kind: str, seed: int) -> np.ndarray:
    """How much a target falls without each of the sets of squares that are drawn for an image.

    Parameters
    ----------
    network, request
        The input (C, S, S) and its target F.
    kind
        Of :func:`segxai.explain.removal.kept_scores`.
    seed
        Of :func:`segxai.metrics.squares.square_sets`.

    Returns
    -------
    ndarray of shape (n,), float32
        F(x) − F(x without the set).
    """
    kept = ~square_sets(seed)
    kept = torch.from_numpy(np.concatenate([np.ones_like(kept[:1]), kept])).to(
        request.inputs.device
    )
    squares = torch.from_numpy(square_of(request.inputs.shape[-2:])).to(request.inputs.device)
    values = kept_scores(network, request, kind, (own[squares] for own in kept), BATCH)
    return (values[0] - values[1:]).float().cpu().numpy()


@contextlib.contextmanager
def _probabilities(network: Network) -> Iterator[None]:
    """Let a network put out probabilities instead of logits within the block.

    Of classes that exclude each other by a softmax, else by a sigmoid each.
    """
    hook = network.module.register_forward_hook(
        lambda _, __, logits: logits.softmax(dim=1) if network.exclusive else logits.sigmoid()
    )
    try:
        yield
    finally:
        hook.remove()
