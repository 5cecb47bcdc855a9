"""Occlusion: what a target loses when a window of the image is removed."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.removal import check_tokens, kept_scores, n_fills
from segxai.explain.stream import Attribution, Request
from segxai.job.log import InputError
from segxai.networks.network import Network

ABOUT = {
    "title": "Occlusion", "cites": "arXiv:1311.2901", "needs": ["forward", "background"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": False,
    "settings": {
        "window": {"type": "integer", "minimum": 1, "default": 32,
                   "description": "Side of the square that is removed, in px of the input"},
        "stride": {"type": "integer", "minimum": 1, "default": 16,
                   "description": "Distance of neighbouring squares, in px of the input"},
        "fill": {
            "enum": ["blur", "black", "mean", "validation", "tokens"], "default": "blur",
            "description": "What is removed is blurred, black, the mean colour, or that of "
                           "validation images, over which values are averaged: that many passes; "
                           "or tokens of a plain vision transformer are left out",
        },
        "background": {"type": "integer", "minimum": 1, "default": 5,
                       "description": "Validation images, drawn by seed, of `fill: validation`"},
        "batch_size": {"type": "integer", "minimum": 1, "default": 16,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, window: int, stride: int, fill: str, **_) -> None:
    """Refuse windows that leave pixels out or cover the input, and tokens of no plain ViT."""
    if stride > window:
        raise InputError(
            f"explainers: occlusion has `stride: {stride}` and `window: {window}`, which pass over "
            "pixels; set `stride` to `window` or less."
        )
    if window >= network.input_size:
        raise InputError(
            f"explainers: occlusion has `window: {window}`, all of an input of "
            f"{network.input_size} px; set a smaller `window`, or a larger `input_size`."
        )
    if fill == "tokens":
        check_tokens(network, "explainers: occlusion with `fill: tokens`")


def explain(
    network: Network,
    requests: Iterable[Request],
    window: int,
    stride: int,
    fill: str,
    background: torch.Tensor,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets by removing one window of the input after the other.

    .. math:: A_i = \frac{1}{|\{W \ni i\}|} \sum_{W \ni i} \left( F(x) - F(x_{W := b}) \right)

    over square windows W (Zeiler & Fergus, ECCV 2014, arXiv:1311.2901, §4.2), whose corners are
    multiples of the stride; the last ones of rows and columns end at the border.

    Differs from Captum's ``Occlusion`` there, which cuts the last windows short. With `fill`
    ``tokens`` a patch is left out where a window covers half of it or more: window and stride are
    best multiples of the patches.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    window, …
        Settings as of `ABOUT`; b, see :func:`segxai.explain.removal.fill`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) in units of the target. They promise
        no sum.

    Raises
    ------
    InputError
        As of :func:`check`.
    """
    check(network, window, stride, fill)
    for request in requests:
        corners = _corners(request.inputs.shape[-2:], window, stride)
        masks = _masks(request.inputs[0], corners, window)
        values = kept_scores(network, request, fill, masks, batch_size, background)
        whole, *removed = values.tolist()
        total, covered = torch.zeros(2, *request.inputs.shape[-2:], dtype=torch.float64)
        for (top, left), value in zip(corners, removed, strict=True):
            place = slice(top, top + window), slice(left, left + window)
            total[place] += whole - value
            covered[place] += 1
        map_ = (total / covered).float().to(request.inputs.device)
        forwards = (len(corners) + 1) * n_fills(fill, background)
        yield Attribution(map_[None], float("nan"), gradients=0, forwards=forwards)


def _corners(shape: tuple[int, int], window: int, stride: int) -> list[tuple[int, int]]:
    """Top left corners of the windows, row by row."""
    tops, lefts = (sorted({*range(0, side - window, stride), side - window}) for side in shape)
    return [(top, left) for top in tops for left in lefts]


def _masks(like: torch.Tensor, corners: list[tuple[int, int]], window: int) -> Iterator:
    """Give masks (H, W) of what is kept: everything, then all but one window."""
    whole = torch.ones_like(like, dtype=torch.bool)
    yield whole
    for top, left in corners:
        mask = whole.clone()
        mask[top : top + window, left : left + window] = False
        yield mask
