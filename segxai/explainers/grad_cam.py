"""Grad-CAM of the last feature map."""

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request, padded, padded_list, stacked
from segxai.job.log import InputError, log
from segxai.networks.network import Network
from segxai.networks.weights import head_names

ABOUT = {
    "title": "Grad-CAM", "cites": "arXiv:1610.02391; arXiv:2002.11434",
    "needs": ["gradients", "activations"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "layer": {
            "enum": ["features", "convolution"], "default": "convolution",
            "description": "The last feature map, or the last convolution before the head (SegX), "
                           "that has positions",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network, requests: Iterable[Request], layer: str, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by the last feature map.

    .. math:: M = \max\left(0, \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c\right)

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2),
    upsampled bilinearly to the input. Of a region of a segmenter's output this is Seg-Grad-CAM
    (Vinogradova et al., AAAI 2020, arXiv:2002.11434).

    Parameters
    ----------
    network
        A convolutional one.
    requests
        Inputs with the target F that is explained; read as they are needed.
    layer, batch_size
        As of `ABOUT`; what A is, see :func:`feature_layer`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative: zero where
        nothing speaks for the target. They promise no sum.

    Raises
    ------
    InputError
        As of :func:`feature_layer`.
    """
    score, layer = network.score(), feature_layer(network, layer)
    waiting = iter(requests)
    while batch := list(islice(waiting, batch_size)):
        inputs = padded(stacked(request.inputs for request in batch), batch_size)
        targets = padded_list([request.target for request in batch], batch_size)
        # Frozen weights leave no graph: gradients must be asked for at the input.
        with outputs_of([layer.module]) as outputs:
            values = score(inputs.detach().requires_grad_(), targets)
        activations = outputs[layer.module]
        (slopes,) = torch.autograd.grad(values.sum(), activations)
        slopes, activations = (layer.channels_first(x.detach()) for x in (slopes, activations))
        maps = (slopes.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1, keepdim=True)
        maps = F.interpolate(
            maps.relu().float(), inputs.shape[-2:], mode="bilinear", align_corners=False
        )
        for values in maps[: len(batch)]:
            yield Attribution(values, float("nan"), 1, 0)


class Layer(NamedTuple):
    """A layer whose outputs are maps, and whether their channels come last."""

    module: nn.Module
    channels_last: bool

    def channels_first(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of the layer as (B, C, h, w)."""
        return x.permute(0, 3, 1, 2) if self.channels_last else x


def feature_layer(network: Network, layer: str) -> Layer:
    """Find the layer whose outputs Grad-CAM weighs: the last of its kind that has positions.

    A pass of the black image shows which have: their outputs are maps of more than one position.
    What comes after the global pooling has none (MobileNetV3, GhostNet), nor have tokens.

    Parameters
    ----------
    layer
        ``features``: the last such map that the network lists in ``feature_info``, after its
        activation: what global pooling sees in timm's classifiers, the bottleneck of a U-Net.
        ``convolution``: the last such convolution before the head in the order of modules, as
        SegX's code has it; in a DenseNet that is 32 of 1,024 channels.

    Raises
    ------
    InputError
        If the network has no such layer, or cuts its image into patches and has no other
        convolution.
    """
    module, head = network.module, head_names(network.module)
    listed = {
        entry["module"]: entry.get("num_chs") for entry in getattr(module, "feature_info", ())
    }
    parts = {name: part for name, part in module.named_modules() if name}
    convolutions = [
        name
        for name, part in parts.items()
        if isinstance(part, nn.Conv2d) and not f"{name}.".startswith(head)
    ]
    with torch.no_grad(), outputs_of(parts[name] for name in [*listed, *convolutions]) as outputs:
        network.outputs(network.black())
    known = {
        name: Layer(parts[name], _channels_last(outputs.get(parts[name]), listed.get(name)))
        for name in [*listed, *convolutions]
    }
    positions = {name: _positions(outputs.get(one.module), one) for name, one in known.items()}
    maps = [name for name in listed if positions[name] > 1]
    # Coarser than the last map are the layers of a head, such as VGG's.
    least = positions[maps[-1]] if maps else 2
    chosen = maps if layer == "features" else [n for n in convolutions if positions[n] >= least]
    kind = type(module).__name__
    if not chosen or (listed and not maps):
        raise InputError(
            f"explainers: grad_cam needs feature maps with positions, which {kind} has not at an "
            f"input_size of {network.input_size} px; choose a convolutional architecture, such as "
            "resnet50 or densenet121, or a larger `input_size`."
        )
    if layer == "convolution" and maps and known[maps[-1]].channels_last:
        raise InputError(
            f"explainers: grad_cam has `layer: convolution`, but the last feature map of {kind} "
            "comes from no convolution; set `layer: features`."
        )
    shape = known[chosen[-1]].channels_first(outputs[parts[chosen[-1]]]).shape
    log.info("Grad-CAM weighs %s: %d channels at %d × %d positions", chosen[-1], *shape[1:])
    return known[chosen[-1]]


@contextlib.contextmanager
def outputs_of(modules: Iterable[nn.Module]) -> Iterator[dict[nn.Module, torch.Tensor]]:
    """Give what modules of a network put out in the passes within the block, the last of each."""
    outputs = {}

    def keep(module: nn.Module, _, output: torch.Tensor) -> torch.Tensor:
        outputs[module] = output
        # What follows may change its input in place.
        return output.clone() if isinstance(output, torch.Tensor) else output

    hooks = [module.register_forward_hook(keep) for module in set(modules)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _channels_last(output: object, channels: int | None) -> bool:
    """Whether an output has the channels that its network lists in its last axis."""
    return (
        isinstance(output, torch.Tensor)
        and output.ndim == 4
        and channels not in (None, output.shape[1])
        and output.shape[3] == channels
    )


def _positions(output: object, layer: Layer) -> int:
    """Count the positions of an output that is a map; 0 if it is none."""
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        return 0
    return layer.channels_first(output)[0, 0].numel()
