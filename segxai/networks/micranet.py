"""MICRA-Net's classifier."""

import re
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import nn

ABOUT = {
    "title": "MICRA-Net", "cites": "doi:10.1038/s42256-022-00472-w", "task": "classify",
    "settings": {},
}  # fmt: skip

CHANNELS = (32, 64, 128, 256)


class Levels(nn.Sequential):
    """Convolutions that return the activations of every level.

    As one layer with several outputs, a single backward pass gives the gradients of all levels.
    """

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Activations (B, C, h, w) of each level, shallow to deep."""
        activations = []
        for level in self:
            x = level(x)
            activations.append(x)
        return tuple(activations)


class MicraNet(nn.Module):
    """MICRA-Net: four blocks of two convolutions and a linear head on their global maximum.

    Each 3×3 convolution is followed by batch norm and ReLU; 2×2 max-pooling between blocks.

    Differs from the authors' training in the loss: their structures may share an image and have a
    binary cross-entropy each; classes here exclude each other and share one cross-entropy.

    Parameters
    ----------
    outputs, channels
        Classes, and channels of the input.

    References
    ----------
    Bilodeau et al., Nature Machine Intelligence 4 (2022), doi:10.1038/s42256-022-00472-w.
    """

    # timm's names of the parts that depend on the classes and channels.
    pretrained_cfg = MappingProxyType({"classifier": "fc", "first_conv": "levels.1a.conv"})

    def __init__(self, outputs: int, channels: int):
        super().__init__()
        self.levels = Levels()
        for block, (before, width) in enumerate(pairwise((channels, *CHANNELS)), 1):
            self.levels.add_module(f"{block}a", _level(before, width, pooled=block > 1))
            self.levels.add_module(f"{block}b", _level(width, width, pooled=False))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(width, outputs)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Activations (B, C, h, w) of the deepest level for inputs (B, channels, H, W)."""
        return self.levels(x)[-1]

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Logits (B, outputs) of the deepest activations, or the input of the linear layer."""
        x = self.dropout(x.amax(dim=(2, 3)))
        return x if pre_logits else self.fc(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, outputs) of inputs (B, channels, H, W)."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Linear layer at the end."""
        return self.fc


def _level(channels: int, width: int, pooled: bool) -> nn.Sequential:
    level = nn.Sequential()
    if pooled:
        level.add_module("pool", nn.MaxPool2d(2))
    level.add_module("conv", nn.Conv2d(channels, width, 3, padding=1))
    level.add_module("norm", nn.BatchNorm2d(width))
    level.add_module("relu", nn.ReLU())
    return level


def checkpoint_filter_fn(state: dict, model: nn.Module) -> dict[str, torch.Tensor]:
    """Rename the tensors of the authors' checkpoints (`conv1a`, `bnorm1a`, …).

    Their networks have one grey channel; here it receives the mean of the input channels
    (:func:`segxai.networks.weights.load_backbone`).
    """
    body = {}
    for key, value in state.items():
        key = re.sub(r"^conv(\d[ab])\.", r"levels.\1.conv.", key).replace("linear1.", "fc.")
        body[re.sub(r"^bnorm(\d[ab])\.", r"levels.\1.norm.", key)] = value
    return body


def build(outputs: int, channels: int) -> MicraNet:
    """Build MICRA-Net for a number of classes and of input channels."""
    return MicraNet(outputs, channels)
