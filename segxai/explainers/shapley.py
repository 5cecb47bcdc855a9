"""Shapley values of superpixels, by antithetic permutations."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch

from segxai.explain.removal import n_fills
from segxai.explain.stream import Attribution, Request
from segxai.explain.superpixels import coalition_scores, spread, superpixels
from segxai.networks.network import Network

ABOUT = {
    "title": "Shapley values", "cites": "arXiv:1705.07874; arXiv:2104.12199",
    "needs": ["forward", "background"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": True,
    "settings": {
        "segments": {"type": "integer", "minimum": 2, "default": 50,
                     "description": "Superpixels that SLIC is asked for"},
        "passes": {
            "type": "integer", "minimum": 2, "default": 400,
            "description": "Forward passes per image at most, except that one order of superpixels "
                           "and its reverse are the least: two passes per superpixel",
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
    fill: str,
    background: torch.Tensor,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets to superpixels by their mean contribution in random orders.

    .. math:: \phi_s = \frac1K \sum_k \left( F(x_{P_k(s) \cup s}) - F(x_{P_k(s)}) \right)

    with P_k(s) the superpixels before s in permutation k. Every second permutation is the reverse
    of the one before (antithetic: Mitchell et al., JMLR 2022, arXiv:2104.12199). The whole image
    and the empty one are evaluated once for all.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    segments, …
        Settings as of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W): the value of each superpixel, divided
        evenly among its pixels. Their sum is F(x) − F(fill), of validation images the mean of
        F(fill), whatever the number of permutations.
    """
    for request in requests:
        labels = superpixels(network, request.inputs, segments)
        n = int(labels.max()) + 1
        pairs = max((passes - 2) // max(2 * (n - 1), 1), 1)
        orders = antithetic_orders(n, pairs, request.generator)
        settings = {"fill": fill, "background": background, "batch_size": batch_size}
        game = partial(coalition_scores, network, request, labels, **settings)
        phi, gain = shapley_values(orders, game)
        forwards = (2 + len(orders) * (n - 1)) * n_fills(fill, background)
        yield Attribution(spread(phi, labels), gain, gradients=0, forwards=forwards)


def antithetic_orders(n: int, pairs: int, generator: torch.Generator) -> torch.Tensor:
    """Orders (2 · pairs, n) of n players at random, each followed by its reverse."""
    orders = torch.stack([torch.randperm(n, generator=generator) for _ in range(pairs)])
    return torch.stack([orders, orders.flip(1)], dim=1).flatten(0, 1)


def shapley_values(
    orders: torch.Tensor, game: Callable[[torch.Tensor], torch.Tensor]
) -> tuple[torch.Tensor, float]:
    """Mean contribution of each player of a game when players join in given orders.

    Parameters
    ----------
    orders : Tensor of shape (k, n), int64
        Permutations.
    game
        Function from coalitions (m, n), bool, to their values (m,), float64.

    Returns
    -------
    phi : Tensor of shape (n,), float64
    gain : float
        Value of all players less that of none, which is the sum of `phi`.
    """
    k, n = orders.shape
    # Place of each player; a coalition holds those whose place is below its size.
    places = orders.argsort(dim=1)
    sizes = torch.arange(1, n).view(1, -1, 1)
    between = (places[:, None] < sizes).flatten(0, 1)
    nobody, everybody = torch.zeros(1, n).bool(), torch.ones(1, n).bool()
    values = game(torch.cat([nobody, everybody, between]))
    (empty, whole), between = values[:2], values[2:].view(k, n - 1)
    values = torch.cat([empty.expand(k, 1), between, whole.expand(k, 1)], dim=1)
    return values.diff(dim=1).gather(1, places).mean(dim=0), float(whole - empty)
