"""MICRA-Net's classifier, under timm's name `micranet`: importing this module registers it."""

import re
from itertools import pairwise

import torch
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn

CHANNELS = (32, 64, 128, 256)

default_cfgs = generate_default_cfgs({"micranet": {"classifier": "fc"}})


class Levels(nn.Sequential):
    """Convolutions that give the activations of every level, not of the last alone.

    As one layer with several outputs: a single pass backward reaches the gradients of them all.
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
    num_classes, in_chans
        Outputs and input channels.

    References
    ----------
    Bilodeau et al., Nature Machine Intelligence 4 (2022), doi:10.1038/s42256-022-00472-w.
    """

    def __init__(self, num_classes: int, in_chans: int = 3):
        super().__init__()
        self.levels = Levels()
        for block, (before, width) in enumerate(pairwise((in_chans, *CHANNELS)), 1):
            self.levels.add_module(f"{block}a", _level(before, width, pooled=block > 1))
            self.levels.add_module(f"{block}b", _level(width, width, pooled=False))
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(width, num_classes)

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Activations (B, C, h, w) of the deepest level for inputs (B, in_chans, H, W)."""
        return self.levels(x)[-1]

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """Logits (B, num_classes) of the deepest activations, or what the linear layer sees."""
        x = self.dropout(x.amax(dim=(2, 3)))
        return x if pre_logits else self.fc(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, num_classes) of inputs (B, in_chans, H, W)."""
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


def checkpoint_filter_fn(
    state: dict[str, torch.Tensor], model: nn.Module
) -> dict[str, torch.Tensor]:
    """Give tensors of the authors' checkpoints (`conv1a`, `bnorm1a`, …) the names used here.

    Theirs see one grey channel; here the mean of the input channels takes its place.
    """
    body = {}
    for key, value in state.items():
        key = re.sub(r"^conv(\d[ab])\.", r"levels.\1.conv.", key)
        body[re.sub(r"^bnorm(\d[ab])\.", r"levels.\1.norm.", key)] = value
    first = "levels.1a.conv.weight"
    channels = model.state_dict()[first].shape[1]
    if first in body and body[first].shape[1] == 1 < channels:
        body[first] = body[first].expand(-1, channels, -1, -1) / channels
    return body


@register_model
def micranet(pretrained: bool = False, **arguments) -> MicraNet:
    """Build MICRA-Net for :func:`timm.create_model`; there is no download."""
    return build_model_with_cfg(MicraNet, "micranet", pretrained, **arguments)
