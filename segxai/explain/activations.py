"""Feature maps of a layer, the gradients of targets with respect to them, and maps made of both."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request, batches
from segxai.explain.target import evaluate
from segxai.job.log import log
from segxai.networks.features import Layer, outputs_of
from segxai.networks.network import Network


def weighed(
    network: Network,
    requests: Iterable[Request],
    layer: Layer,
    batch_size: int,
    combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Iterator[Attribution]:
    """Explain targets by feature maps A and gradients ∂F/∂A, both (B, K, h, w), in one pass.

    Parameters
    ----------
    network, requests, batch_size
        As of the explainers.
    layer
        Where A is.
    combine
        Makes maps (B, h, w) of the two, of each image by itself.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that promise no sum.
    """
    log.info("%s is weighed: %d channels at %d × %d positions", layer.name, *layer.shape)
    for batch, inputs, targets in batches(requests, batch_size):
        score = partial(evaluate, targets=targets)
        maps = upsampled(combine(*with_gradients(network, inputs, layer, score)), inputs)
        for values in maps[: len(batch)]:
            yield Attribution(values, float("nan"), gradients=1, forwards=0)


def with_gradients(
    network: Network,
    inputs: torch.Tensor,
    layer: Layer,
    score: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """Feature maps of inputs (B, C, H, W), and gradients of a score of each, both (B, K, h, w).

    `score` turns the network's outputs into values (B,).
    """
    # Frozen weights leave no graph: gradients must be asked for at the input.
    with outputs_of([layer.module]) as outputs:
        values = score(network.outputs(inputs.detach().requires_grad_()))
    maps = outputs[layer.module]
    (slopes,) = torch.autograd.grad(values.sum(), maps)
    return tuple(layer.channels_first(x.detach()).float() for x in (maps, slopes))


@torch.no_grad()
def activations(network: Network, inputs: torch.Tensor, layer: Layer) -> torch.Tensor:
    """Feature maps (B, K, h, w) of inputs (B, C, H, W)."""
    with outputs_of([layer.module]) as outputs:
        network.outputs(inputs)
    return layer.channels_first(outputs[layer.module]).float()


def upsampled(maps: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Upsample maps (B, h, w) bilinearly to (B, 1, H, W), the size of inputs (…, H, W)."""
    return F.interpolate(maps[:, None], inputs.shape[-2:], mode="bilinear", align_corners=False)
