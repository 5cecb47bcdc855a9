"""SmoothGrad: gradients at noisy copies of an image, without their signs."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.stream import Attribution, Request, request_gradients
from segxai.networks.network import Network

ABOUT = {
    "title": "SmoothGrad", "cites": "arXiv:1706.03825; arXiv:1806.10758", "needs": ["gradients"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "samples": {"type": "integer", "minimum": 1, "default": 25,
                    "description": "Noisy copies of an image"},
        "noise": {
            "type": "number", "minimum": 0, "default": 0.15,
            "description": "Standard deviation of the noise, as a share of the range of the "
                           "normalised image",
        },
        "combine": {
            "enum": ["squared", "magnitude"], "default": "squared",
            "description": "What is averaged: squares of gradients, or absolute values",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    samples: int,
    noise: float,
    combine: str,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets F to pixels by their gradients at noisy copies of the image.

    .. math:: A_i = \frac1n \sum_k \left|
              \frac{\partial F(x + \epsilon_k)}{\partial x_i} \right|^p, \quad
              \epsilon_k \sim N(0, \sigma^2), \quad \sigma = s \, (\max x - \min x)

    with p = 2 (squared) or 1 (magnitude) and s the setting `noise`; Smilkov et al.
    (arXiv:1706.03825) advise s in 0.1…0.2.

    Differs from them in what is averaged: the mean of signed gradients hardly converges at feasible
    n, so that it is not offered. The mean of squares is SmoothGrad-Squared of Hooker et al.
    (arXiv:1806.10758). Neither map says what speaks for the target and what against it.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed. Each brings the source
        of its noise.
    samples, …
        Settings as of `ABOUT`: n, s, what is averaged.

    Yields
    ------
    Attribution
        One per request, in their order, (C, H, W), nowhere negative. They promise no sum.
    """
    power = 2 if combine == "squared" else 1
    copies = (copy for request in requests for copy in _noisy(request, samples, noise))
    total = 0.0
    for place, (_, slopes, _) in enumerate(request_gradients(network, copies, batch_size), 1):
        total = total + slopes.abs() ** power / samples
        if place % samples == 0:
            yield Attribution(total, float("nan"), samples, 0)
            total = 0.0


def _noisy(request: Request, samples: int, noise: float) -> Iterator[Request]:
    x = request.inputs
    std = noise * (x.max() - x.min())
    for _ in range(samples):
        drawn = torch.randn(x.shape, generator=request.generator).to(x)
        yield request._replace(inputs=x + drawn * std)
