"""Search for the least change of an image that takes its target away."""

from collections.abc import Callable
from functools import partial

import torch
from torch.nn import functional as F

from segxai.explain.target import Target, log_odds
from segxai.networks.network import Network


def descend(
    network: Network,
    inputs: torch.Tensor,
    targets: list[Target],
    start: torch.Tensor,
    changed: Callable[[torch.Tensor], torch.Tensor],
    penalty: Callable[[torch.Tensor], torch.Tensor],
    steps: int,
    learning_rate: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Minimise what is left of each target's probability, plus a penalty, by Adam.

    .. math:: \min_q \; p(z(q)) / p(x) + \Omega(q)

    Images of a batch are searched side by side; none sees another.

    Parameters
    ----------
    network, inputs, targets
        x (B, C, H, W), and the target of each.
    start : Tensor of shape (B, …)
        q of each image before the first step.
    changed
        z: turns q into inputs (B, C, H, W).
    penalty
        Ω: turns q into values (B,).
    steps, learning_rate
        Of Adam.

    Returns
    -------
    q : Tensor of shape (B, …)
        After the last step.
    lowers : Tensor of bool, (B,)
        Whether the probability is lower for it than for the image.
    """
    log_probability = partial(_log_probability, network, targets)
    with torch.no_grad():
        before = log_probability(inputs)
    q = start.clone().requires_grad_()
    optimiser = torch.optim.Adam([q], learning_rate)
    for _ in range(steps):
        left = (log_probability(changed(q)) - before).exp()
        (q.grad,) = torch.autograd.grad((left + penalty(q)).sum(), q)
        optimiser.step()
    q = q.detach()
    with torch.no_grad():
        return q, log_probability(changed(q)) < before


def _log_probability(network: Network, targets: list[Target], inputs: torch.Tensor) -> torch.Tensor:
    return F.logsigmoid(log_odds(network.outputs(inputs), targets, network.exclusive))
