"""RISE: random masks, weighted by the target of what they leave."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.removal import kept_scores, n_fills
from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network

ABOUT = {
    "title": "RISE", "cites": "arXiv:1806.07421", "needs": ["forward", "background"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": False,
    "settings": {
        "cells": {"type": "integer", "minimum": 1, "default": 7,
                  "description": "Cells of a mask along each side of the input"},
        "probability": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
                        "default": 0.5, "description": "Probability that a cell is kept"},
        "passes": {"type": "integer", "minimum": 2, "default": 2000,
                   "description": "Masks, and so forward passes, per image"},
        "fill": {
            "enum": ["blur", "black", "mean", "validation"], "default": "black",
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
    cells: int,
    probability: float,
    passes: int,
    fill: str,
    background: torch.Tensor,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets by their covariance with random masks of the input.

    .. math:: A_i = \frac{1}{Np} \sum_k \left( F(x_{m_k}) - \overline F \right) m_{ki}

    over N masks in 0…1, see :func:`mask` (Petsiuk et al., BMVC 2018, arXiv:1806.07421, eq.
    6).

    Differs from the authors' code in the mean F that is taken off, without which the expectation
    has the same constant added everywhere and the estimate the noise of the masks' sum; in the
    target, a logit instead of a probability; in the fill, which there is the mean colour; and in
    the upsampling of cells, which is not stretched.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    cells, …
        Settings as of `ABOUT`: p is the probability, N the passes.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) in units of the target. They promise
        no sum.
    """
    for request in requests:
        side = request.inputs.shape[-1]
        drawn = [draw_cells(cells, probability, request.generator) for _ in range(passes)]
        # Masks are made twice, since all of them would not fit into memory.
        masks = (mask(side, *draw).to(request.inputs) for draw in drawn)
        gains = kept_scores(network, request, fill, masks, batch_size, background).cpu()
        gains -= gains.mean()
        values = torch.zeros(side, side, dtype=torch.float64)
        for gain, draw in zip(gains, drawn, strict=True):
            values += gain * mask(side, *draw)
        values = (values / (passes * probability)).float().to(request.inputs)
        forwards = passes * n_fills(fill, background)
        yield Attribution(values[None], float("nan"), gradients=0, forwards=forwards)


def draw_cells(
    cells: int, probability: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw which cells of a grid, one larger on each side, are kept, and two shifts in 0…1."""
    grid = torch.rand(cells + 2, cells + 2, generator=generator) < probability
    return grid.float(), torch.rand(2, generator=generator)


def mask(side: int, grid: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    r"""Make a mask (side, side) in 0…1 of the cells g that are kept, shifted by u and v cells.

    .. math:: m_{ij} = \sum_{ab} g_{ab} \Lambda(i/c + u - a) \Lambda(j/c + v - b)

    with the size c of a cell in px and the hat Λ(t) = max(0, 1 − |t|) of bilinear upsampling. Over
    random masks the mean is p everywhere, and the covariance of two pixels p (1 − p) times cubic
    B-splines of their distances in cells.
    """
    cells = len(grid) - 2
    places = torch.arange(side) * cells / side + shifts[:, None]
    rows, columns = (1 - (places[..., None] - torch.arange(cells + 2)).abs()).relu()
    return rows @ grid @ columns.T
