"""Small networks that explainers are tested on."""

from collections.abc import Callable

import torch
from torch import nn

from segxai.networks.network import Network, build_network

FRESH = {"pretrained": False, "weights": None}
CPU = torch.device("cpu")


class Scored(nn.Module):
    """A network of one output, given as a function of its input (B, C, H, W)."""

    def __init__(self, score: Callable[[torch.Tensor], torch.Tensor]):
        super().__init__()
        self.score = score

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1)."""
        return self.score(x)[:, None]


class Failing(nn.Module):
    """A network that breaks at a given pass."""

    def __init__(self, module: nn.Module, at: int):
        super().__init__()
        self.module, self.left = module, at

    def __getattr__(self, name):
        """Give what is asked of the network within."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.module, name)

    def forward(self, x):
        """Logits, until it breaks."""
        logits = self.module(x)
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("broken")
        return logits


def frozen(module: nn.Module | Callable, size: int = 32, black: float = -2.0) -> Network:
    """Freeze a module, or a function of its input, whose black image is `black` everywhere."""
    module = module if isinstance(module, nn.Module) else Scored(module)
    module.eval().requires_grad_(False)
    return Network(module, "classify", size, [-0.2 * black] * 3, [0.2] * 3, CPU)


def timm_network(architecture: str, outputs: int = 2, seed: int = 0, **settings) -> nn.Module:
    """Build a classifier of timm with random weights, in training mode."""
    definition = {"method": "timm_classifier", "architecture": architecture, "arguments": {}}
    definition |= {"head_features": None} | FRESH | settings
    return build_network(definition, outputs, 3, seed)


def unet(outputs: int = 1, width: int = 4, channels: int = 3, seed: int = 0) -> nn.Module:
    """Build a U-Net with random weights, in training mode."""
    return build_network({"method": "unet", "width": width} | FRESH, outputs, channels, seed)


def generator(seed: int = 0) -> torch.Generator:
    """Source of what is drawn for one image."""
    return torch.Generator().manual_seed(seed)


def images(n: int, seed: int, size: int = 32) -> torch.Tensor:
    """Make `n` random inputs."""
    return torch.randn(n, 3, size, size, generator=generator(seed))
