"""What a network computes after a layer, run again on other activations of that layer."""

from collections.abc import Callable

import torch
from torch import nn

from segxai.explain.activations import activations
from segxai.networks.features import Layer
from segxai.networks.network import Network


class Tail:
    """The part of a network after a layer, with what came before it in one pass of some inputs.

    The modules that come before the layer, or beside it, put out again what they did for an input,
    and the layer what is asked for: only what follows is computed. Skip connections around the
    layer are thereby those of that input, whatever the architecture.

    Parameters
    ----------
    network, layer
        As of :func:`segxai.networks.features.feature_layer`.
    inputs : Tensor of shape (B, C, H, W)
        Of the one pass that is made here.
    """

    def __init__(self, network: Network, layer: Layer, inputs: torch.Tensor):
        self.network, self.layer, self.inputs = network, layer, inputs
        self.earlier: dict[nn.Module, list[torch.Tensor]] = {}
        hooks = [part.register_forward_hook(self._keep) for part in self._beside()]
        try:
            # (B, K, h, w)
            self.activations = activations(network, inputs, layer)
        finally:
            for hook in hooks:
                hook.remove()

    def _beside(self) -> list[nn.Module]:
        """Modules that lie in those around the layer, itself among them."""
        names = self.layer.name.split(".")
        around = {".".join(names[:depth]) for depth in range(len(names))}
        return [
            part
            for name, part in self.network.module.named_modules()
            if name not in around and name.rpartition(".")[0] in around
        ]

    def _keep(self, part: nn.Module, _, output: object) -> torch.Tensor | None:
        if self.layer.module in self.earlier or not isinstance(output, torch.Tensor):
            return None
        self.earlier.setdefault(part, []).append(output)
        # What follows may change its input in place.
        return output.clone()

    def outputs(self, image: int, activations: torch.Tensor) -> torch.Tensor:
        """Logits (n, …) for activations (n, K, h, w) in place of those of an image of the inputs.

        Gradients flow back to the activations. The network is as before when this returns.
        """
        n = len(activations)
        # What follows may change its input in place.
        activations = activations.clone()
        if self.layer.channels_last:
            activations = activations.permute(0, 2, 3, 1)
        before = {}
        try:
            for part, outputs in self.earlier.items():
                before[part] = vars(part).get("forward")
                given = [output[image].expand(n, *output.shape[1:]) for output in outputs]
                part.forward = _putting_out(
                    [activations] if part is self.layer.module else given, part.forward
                )
            return self.network.outputs(self.inputs[image].expand(n, *self.inputs.shape[1:]))
        finally:
            for part, forward in before.items():
                del part.forward
                if forward is not None:
                    part.forward = forward

    def is_affine(self) -> bool:
        """Whether logits are an affine function of the activations: a pooling and a linear head.

        It is asked at random activations, at which nothing else is additive.
        """
        generator = torch.Generator().manual_seed(0)
        shape = 2, *self.activations.shape[1:]
        a, b = torch.randn(shape, generator=generator).to(self.activations)
        at_zero, at_a, at_b, at_both = self.outputs(0, torch.stack([0 * a, a, b, a + b]))
        error = (at_a + at_b - at_both - at_zero).abs().max()
        return bool(error <= 1e-4 * (at_a - at_zero).abs().max())


def _putting_out(given: list[torch.Tensor], forward: Callable) -> Callable:
    """Put out given tensors, call after call, and compute again after the last of them."""
    waiting = iter(given)

    def put_out(*args, **kwargs) -> torch.Tensor:
        output = next(waiting, None)
        return forward(*args, **kwargs) if output is None else output

    return put_out
