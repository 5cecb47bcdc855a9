"""Pixel counterfactual: the least change of all pixels, a negative control."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.counterfactual import descend
from segxai.explain.stream import Attribution, Request, batches
from segxai.networks.network import Network

ABOUT = {
    "title": "Pixel counterfactual", "cites": "arXiv:1711.00399",
    "needs": ["gradients"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": False,
    "settings": {
        "steps": {"type": "integer", "minimum": 1, "default": 20, "description": "Steps of Adam"},
        "learning_rate": {"type": "number", "exclusiveMinimum": 0, "default": 0.01,
                          "description": "Of Adam"},
        "distance_weight": {"type": "number", "minimum": 0, "default": 1.0,
                            "description": "Weight of the mean squared change, in units of the "
                                           "normalised input"},
        "batch_size": {"type": "integer", "minimum": 1, "default": 10,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    steps: int,
    learning_rate: float,
    distance_weight: float,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Change each pixel as little as takes the target away.

    .. math:: \min_\delta \; \frac{p(x + \delta)}{p(x)} + \lambda \, \overline{\delta^2}

    with p the probability of the target, of a region the sigmoid of its mean logit; the map is δ.

    The result is an adversarial pattern: changes of a grey level or two, spread over the image,
    which no reader can see. It stands in tables as a negative control, which a metric or a reader
    of maps must reject.

    Differs from Wachter et al. in the loss, which is that of
    :mod:`segxai.explainers.counterfactual_mask`, so that only what is searched differs.

    Parameters
    ----------
    network
    requests
        Inputs with the target that is explained; read as they are needed.
    steps, learning_rate, distance_weight, batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, with changes (C, H, W) that promise no sum. Zero everywhere
        where the search found none that lowers the probability.

    References
    ----------
    Wachter et al., Harvard Journal of Law & Technology 31 (2018), arXiv:1711.00399.
    """
    for batch, inputs, targets in batches(requests, batch_size):

        def changed(delta, inputs=inputs):
            return inputs + delta

        def penalty(delta):
            return distance_weight * delta.square().mean(dim=(1, 2, 3))

        start = torch.zeros_like(inputs)
        delta, lowers = descend(
            network, inputs, targets, start, changed, penalty, steps, learning_rate
        )
        delta = delta * lowers.view(-1, 1, 1, 1)
        for values in delta[: len(batch)]:
            yield Attribution(values, float("nan"), gradients=steps, forwards=2)
