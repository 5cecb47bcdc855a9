"""Feature maps of a network: its last layer whose outputs have positions."""

import contextlib
from collections.abc import Iterable, Iterator
from math import prod
from typing import NamedTuple

import torch
from torch import nn

from segxai.job.log import InputError
from segxai.networks.network import Network
from segxai.networks.weights import head_names


class Layer(NamedTuple):
    """A layer whose outputs are maps, and whether their channels come last."""

    name: str
    module: nn.Module
    shape: tuple[int, ...]  # (C, h, w) of its outputs, empty if these are not maps
    channels_last: bool

    @property
    def positions(self) -> int:
        """Number of positions of a map; 0 for other outputs."""
        return prod(self.shape[1:]) if self.shape else 0

    def channels_first(self, x: torch.Tensor) -> torch.Tensor:
        """Outputs of the layer as (B, C, h, w)."""
        return x.permute(0, 3, 1, 2) if self.channels_last else x


def feature_layer(network: Network, layer: str | int, method: str) -> Layer:
    """Find the layer whose outputs an explainer weights: the last of its kind with positions.

    A pass of the black image shows which layers qualify: their outputs are maps of more than one
    position. Layers after the global pooling do not (MobileNetV3, GhostNet), nor do tokens.

    Parameters
    ----------
    layer
        ``features``: the input of global pooling in timm's classifiers, else the last such map in
        the network's ``feature_info``, after its activation: the bottleneck of a U-Net.
        ``convolution``: the last such convolution before the head in the order of modules, as
        SegX's code has it; in a DenseNet that is 32 of 1,024 channels. A number counts the maps in
        ``feature_info``, with the input of global pooling, from the last, 1, which is ``features``.
    method
        The explainer that asks, for errors.

    Raises
    ------
    InputError
        If the network lacks such a layer, or its only convolution cuts the image into patches.
    """
    maps, convolutions, tokens = _layers(network)
    chosen = convolutions if layer == "convolution" else maps
    stage = 1 if layer == "features" else layer
    kind = type(network.module).__name__
    if not chosen or (tokens and not maps):
        raise InputError(
            f"explainers: {method} needs feature maps with positions, which {kind} lacks at an "
            f"input_size of {network.input_size} px; choose a convolutional architecture, such as "
            "resnet50 or densenet121, or a larger `input_size`."
        )
    if layer == "convolution" and maps and maps[-1].channels_last:
        raise InputError(
            f"explainers: {method} has `layer: convolution`, but the last feature map of {kind} "
            "does not come from a convolution; set `layer: features`."
        )
    if layer == "convolution":
        return chosen[-1]
    if stage > len(maps):
        raise InputError(
            f"explainers: {method} has `stage: {stage}`, but {kind} lists {len(maps)} feature maps "
            f"with positions at an input_size of {network.input_size} px; set a `stage` of at most "
            f"{len(maps)}, or choose a deeper convolutional architecture, such as resnet50."
        )
    return maps[-stage]


@contextlib.contextmanager
def outputs_of(modules: Iterable[nn.Module]) -> Iterator[dict[nn.Module, torch.Tensor]]:
    """Yield the last output of each module, from the passes within the block."""
    outputs = {}

    def keep(module: nn.Module, _, output: torch.Tensor) -> torch.Tensor:
        outputs[module] = output
        # A later layer may change its input in place.
        return output.clone() if isinstance(output, torch.Tensor) else output

    hooks = [module.register_forward_hook(keep) for module in set(modules)]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()


def _layers(network: Network) -> tuple[list[Layer], list[Layer], bool]:
    """Describe the layers of a network whose outputs have positions, by a pass of the black image.

    Returns
    -------
    maps : list of Layer
        Those that the network lists in ``feature_info``, and the one that its global pooling reads:
        EfficientNets widen their last stage by one more convolution, which they do not list.
    convolutions : list of Layer
        Before the head, in the order of modules, at least as fine as the last map.
    tokens : bool
        Whether a listed layer puts out tokens.
    """
    module, head = network.module, head_names(network.module)
    parts = {name: part for name, part in module.named_modules() if name}
    pool = parts.get("global_pool", nn.Identity())
    with torch.no_grad(), outputs_of(parts.values()) as outputs:
        # The last module that has put something out when pooling begins.
        read: list[nn.Module] = []
        hook = pool.register_forward_pre_hook(lambda *_: read.append(next(reversed(outputs))))
        try:
            network.outputs(network.black())
        finally:
            hook.remove()
    # Some names are stages that are not modules (HRNet's stem).
    listed = {
        entry["module"]: entry.get("num_chs")
        for entry in getattr(module, "feature_info", ())
        if entry["module"] in parts
    }
    shown = [outputs.get(parts[name]) for name in listed]
    tokens = any(isinstance(output, torch.Tensor) and output.ndim == 3 for output in shown)
    if read and not any(_equal(outputs[read[0]], output) for output in shown):
        listed |= {name: None for name, part in parts.items() if part is read[0]}
    maps = [_layer(name, parts[name], outputs.get(parts[name]), listed[name]) for name in listed]
    maps = [layer for layer in maps if layer.positions > 1]
    # Layers of a head, such as VGG's, are coarser than the last map.
    least = maps[-1].positions if maps else 2
    convolutions = [
        _layer(name, part, outputs.get(part), None)
        for name, part in parts.items()
        if isinstance(part, nn.Conv2d) and not f"{name}.".startswith(head)
    ]
    return maps, [layer for layer in convolutions if layer.positions >= least], tokens


def _equal(a: object, b: object) -> bool:
    """Whether two outputs are the same tensor in value."""
    return isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor) and torch.equal(a, b)


def _layer(name: str, module: nn.Module, output: object, channels: int | None) -> Layer:
    """Describe a layer by an output, and by the channels that its network lists for it."""
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        return Layer(name, module, (), False)
    first, last = output.shape[1], output.shape[3]
    channels_last = channels is not None and first != channels == last
    layer = Layer(name, module, (), channels_last)
    return layer._replace(shape=tuple(layer.channels_first(output).shape[1:]))
