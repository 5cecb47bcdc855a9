"""An explainer run again: on noisy inputs, for another class, on networks with other weights."""

import copy
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from segxai.explain.stream import Request, stacked
from segxai.explain.target import Label
from segxai.metrics.disturbance import NOISY, STAGES
from segxai.metrics.similarity import similarity
from segxai.networks.network import Network
from segxai.networks.weights import head_names

GREY_LEVELS = 2  # of 255
CALIBRATING = 32  # images that statistics of batch norm are taken of
OTHERS = 20  # attributions of other images that one is compared with
COVERAGE = 0.95


def again(request: Request, **changes: object) -> Request:
    """Ask the same with some changes; what is drawn is drawn as it was the first time."""
    fresh = torch.Generator().manual_seed(request.generator.initial_seed())
    return request._replace(generator=fresh, **changes)


def noisy(network: Network, inputs: torch.Tensor, seed: int) -> torch.Tensor:
    r"""Add noise of at most `GREY_LEVELS` to an input (C, S, S): `NOISY` copies of it.

    Uniform in −r…r, independent for every value. A grey level is 1/255 of the range of intensities,
    so that in units of the normalised input :math:`r_c = 2 / (255\,\sigma_c)`, with the deviation
    that channel c is standardised by. Copies may leave the range of intensities a little.
    """
    drawn = np.random.default_rng(seed).uniform(-1, 1, (NOISY, *inputs.shape))
    radius = GREY_LEVELS / 255 / inputs.new_tensor(network.std).view(-1, 1, 1)
    return inputs + torch.from_numpy(drawn).to(inputs) * radius


@torch.no_grad()
def other_class(network: Network, request: Request) -> Label | None:
    """Find the most probable class beside the explained one; None for a region or a lone class."""
    if not isinstance(request.target, Label):
        return None
    logits = network.outputs(stacked([request.inputs]))[0]
    logits[request.target.index] = -torch.inf
    return Label(int(logits.argmax())) if len(logits) > 1 else None


@torch.no_grad()
def stages(network: Network) -> list[list[str]]:
    """Divide the parameters of a network into `STAGES`, from its output to its input.

    The first is the head, the others are equal numbers of layers; the last has the stem, with
    class token and position embedding. A pass of the black image shows in which order the layers
    are used. Parameters of a layer that is not called count as used where what holds it begins.

    Returns
    -------
    list of list of str
        Names, each parameter once. A network of few layers has stages without any.
    """
    module, order = network.module, []
    hooks = [
        part.register_forward_pre_hook(lambda *_, name=name: order.append(name))
        for name, part in module.named_modules()
    ]
    try:
        network.outputs(network.black())
    finally:
        for hook in hooks:
            hook.remove()
    layers = {name: [] for name in order}
    for parameter, _ in module.named_parameters():
        layer = parameter.rpartition(".")[0]
        while layer not in layers:
            layer = layer.rpartition(".")[0]
        layers[layer].append(parameter)
    used = [name for name, own in reversed(layers.items()) if own]
    head = [name for name in used if f"{name}.".startswith(head_names(module))] or used[:1]
    body = [name for name in used if name not in head]
    bounds = np.linspace(0, len(body), STAGES).round().astype(int)
    parts = [head, *(body[a:b] for a, b in pairwise(bounds))]
    return [[name for layer in part for name in layers[layer]] for part in parts]


def cascade(network: Network, fresh: nn.Module, images: torch.Tensor) -> Iterator[Network]:
    """Give the network after each of the `STAGES`, from its output, has weights of a fresh one.

    Parameters as of :func:`randomised`, each network made when it is asked for.
    """
    names = []
    for stage in stages(network):
        names += stage
        yield randomised(network, fresh, names, images)


@torch.no_grad()
def randomised(
    network: Network, fresh: nn.Module, names: Collection[str], images: torch.Tensor
) -> Network:
    """Copy a network, with some of its parameters from a fresh one.

    Weights of layers that begin as zero, the last batch norm of residual branches, are 1 instead:
    otherwise the network would be half as deep. Batch norms among the layers take their statistics
    again, in one pass, since those of the trained weights say nothing of the fresh ones.

    Parameters
    ----------
    network, fresh
        Of one architecture; neither is changed.
    names
        Parameters, with all that are used after them.
    images : Tensor of shape (n, C, S, S)
        Inputs that the statistics are taken of.
    """
    module, drawn = copy.deepcopy(network.module), dict(fresh.named_parameters())
    own = dict(module.named_parameters())
    for name in names:
        zero = name.endswith(".weight") and drawn[name].ndim == 1 and not drawn[name].any()
        own[name].copy_(torch.ones_like(drawn[name]) if zero else drawn[name])
    changed = replace(network, module=module)
    norms = [
        part
        for name, part in module.named_modules()
        if getattr(part, "running_mean", None) is not None and f"{name}.weight" in names
    ]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    if norms:
        changed.outputs(images)
        module.eval()
    return changed


def distance(changed: np.ndarray, attribution: np.ndarray) -> float:
    """Euclidean distance of two attributions (h, w), relative to the norm of the second.

    NaN where that is 0 or one is not finite.
    """
    apart, size = (
        np.linalg.norm(x.astype(np.float64)) for x in (changed - attribution, attribution)
    )
    return float(apart / size) if size > 0 and np.isfinite(apart) else np.nan


def null(attribution: np.ndarray, others: Iterable[np.ndarray]) -> float:
    """Quantile (`COVERAGE`) of the absolute similarities to attributions of other images, in 0…1.

    What a similarity must stay below to say nothing: as much is alike whatever the image is. NaN
    without others.
    """
    alike = np.abs([similarity(attribution, other) for other in others])
    return float(np.nanquantile(alike, COVERAGE)) if np.isfinite(alike).any() else np.nan
