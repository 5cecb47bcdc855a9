"""Copies of a network whose parts pass gradients back by other rules, and the parts of LRP."""

from collections.abc import Callable, Container
from copy import deepcopy

import torch
from torch import nn

# Classes of PyTorch and timm by name, so that a network of another source needs no timm.
# Of all activations that are 0 at 0, ReLU alone passes on what it gives out.
ACTIVATIONS = {
    *("ReLU6", "LeakyReLU", "PReLU", "ELU", "CELU", "SELU", "GELU", "GELUTanh", "QuickGELU"),
    *("SiLU", "Swish", "Mish", "Hardswish", "HardSwish", "HardswishMe", "HardMish", "Tanh"),
}
LINEAR = {
    *("Linear", "Conv2d", "Conv2dSame", "ConvTranspose2d", "BatchNorm2d", "LayerScale"),
    *("AvgPool2d", "AvgPool2dSame", "AdaptiveAvgPool2d", "FastAdaptiveAvgPool", "Upsample"),
    *("Identity", "Dropout", "Dropout2d", "PatchDropout", "DropPath", "Flatten", "Unflatten"),
}

# Below this a contribution is nothing: what is divided by it would overflow.
TINY = 1e-12


def changed(module: nn.Module, change: Callable[[nn.Module], nn.Module]) -> nn.Module:
    """Replace each part of a network by what `change` makes of it, the innermost first.

    In place, so of a copy: with the network itself there is then nothing to undo.
    """
    # A part that is used in several places has as many names.
    for name, part in reversed([*module.named_modules(remove_duplicate=False)]):
        if name and (new := change(part)) is not part:
            module.set_submodule(name, new)
    return module


def leaf_kinds(module: nn.Module, left_out: Container[nn.Module] = ()) -> set[str]:
    """Names of the classes of all parts that have no parts themselves."""
    leaves = (part for part in module.modules() if not [*part.children()])
    return {type(part).__name__ for part in leaves if part not in left_out}


def rescaled(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """`whole` in value, to the last bit; backwards `part` times the constant whole / part.

    So z · ∂/∂z of what follows is the relevance of `whole`, and is shared out as `part` shares it.
    Where `part` is 0 nothing is passed on.
    """
    some = part.detach().abs() > TINY
    ratio = torch.where(some, whole / torch.where(some, part, 1), 0).detach()
    return whole.detach() + ratio * (part - part.detach())


class Ratio(nn.Module):
    """Scales its input z element by element: backwards the constant act(z) / z.

    For activations, and for gates (squeeze and excitation), where it holds the gate constant.
    """

    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same as of the part."""
        # Some parts change their input in place.
        return rescaled(x, self.part(x.detach().clone()))


class PositiveContributions(nn.Module):
    r"""Convolution by the z⁺ rule, generalised to inputs of either sign.

    .. math:: R_i = \sum_j \frac{(x_i w_{ij})^+}{\sum_k (x_k w_{kj})^+} R_j

    without the bias in the denominator, so that its share is passed on too.
    """

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.convolution = convolution
        self.positive = _weighted(convolution, convolution.weight.clamp(min=0))
        self.negative = _weighted(convolution, convolution.weight.clamp(max=0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same as of the convolution."""
        part = self.positive(x.clamp(min=0)) + self.negative(x.clamp(max=0))
        return rescaled(part, self.convolution(x.detach()))


class EvenShares(nn.Module):
    r"""Convolution by the flat rule: all inputs that an output sees share its relevance evenly.

    .. math:: R_i = \sum_j \frac{1[w_{ij} \ne 0]}{\sum_k 1[w_{kj} \ne 0]} R_j

    The input must be nowhere 0, since relevance is input times gradient.
    """

    def __init__(self, convolution: nn.Module):
        super().__init__()
        self.convolution = convolution
        self.spread = _weighted(convolution, convolution.weight.ne(0).to(convolution.weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same as of the convolution."""
        return rescaled(self.spread(x / x.detach()), self.convolution(x.detach()))


class FixedScale(nn.Module):
    """Layer norm over an axis whose standard deviation is a constant backwards."""

    def __init__(self, norm: nn.LayerNorm, axis: int):
        super().__init__()
        self.norm, self.axis = norm, axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same as of the layer norm."""
        centred = x - x.mean(dim=self.axis, keepdim=True)
        variance = x.detach().var(dim=self.axis, keepdim=True, correction=0)
        scale = (variance + self.norm.eps).rsqrt()
        if self.norm.weight is not None:
            scale = scale * self.norm.weight.view(-1, *[1] * ((-1 - self.axis) % x.ndim))
        return self.norm(x.detach()) + scale * (centred - centred.detach())


class WeighedProjection(nn.Module):
    """Linear layer of queries, keys and values, whose gradients have weights of their own."""

    def __init__(self, projection: nn.Linear, weights: tuple[float, float, float]):
        super().__init__()
        self.projection, self.weights = projection, weights

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Same as of the layer."""
        parts = self.projection(x).chunk(3, dim=-1)
        pairs = zip(parts, self.weights, strict=True)
        weighed = [part.detach() + weight * (part - part.detach()) for part, weight in pairs]
        return torch.cat(weighed, dim=-1)


def _weighted(convolution: nn.Module, weight: torch.Tensor) -> nn.Module:
    """Copy of a convolution with other weights and without bias."""
    copy = deepcopy(convolution)
    copy.weight, copy.bias = nn.Parameter(weight.detach(), requires_grad=False), None
    return copy
