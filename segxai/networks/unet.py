"""U-Net, the segmenter of SegX."""

from itertools import pairwise
from types import MappingProxyType

import torch
from torch import nn

from segxai.job.log import InputError

ABOUT = {
    "title": "U-Net", "cites": "arXiv:1505.04597", "task": "segment",
    "settings": {
        "width": {
            "type": "integer", "minimum": 1, "default": 32,
            "description": "Features of the first of five levels; each deeper one doubles them",
        },
    },
}  # fmt: skip

LEVELS = 5


class UNet(nn.Module):
    """U-Net of five levels, `width` features at the first and twice as many at each deeper one.

    A level is two 3×3 convolutions, each with batch norm and ReLU; levels are joined by 2×2
    max-pooling on the way down, 2×2 transposed convolutions and skip connections on the way up.

    Differs from the original in batch norm, in padding (masks are as large as images) and in half
    its features, as in SegX's code.

    Parameters
    ----------
    outputs
        Masks: 1 for the union of all findings, or one per class. Masks may overlap, so each channel
        has its own sigmoid.
    channels
        Channels of the input.
    width
        Features of the first level; SegX's code has 32.

    References
    ----------
    Ronneberger et al., MICCAI 2015, arXiv:1505.04597.
    """

    # timm's names of the head, and of feature maps by depth: the last is the bottleneck.
    pretrained_cfg = MappingProxyType({"classifier": "head"})
    feature_info = tuple({"module": f"encoders.{level}"} for level in range(LEVELS))

    def __init__(self, outputs: int, channels: int, width: int):
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        upwards = list(pairwise(reversed(widths)))
        self.encoders = nn.ModuleList(_level(*pair) for pair in pairwise((channels, *widths)))
        self.pool = nn.MaxPool2d(2)
        self.upsamplers = nn.ModuleList(nn.ConvTranspose2d(*pair, 2, stride=2) for pair in upwards)
        self.decoders = nn.ModuleList(_level(2 * width, width) for _, width in upwards)
        self.head = nn.Conv2d(width, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, outputs, H, W) of inputs (B, channels, H, W), H and W multiples of 16."""
        if x.shape[-2] % 16 or x.shape[-1] % 16:
            raise InputError(
                f"input_size: the U-Net halves its input four times, and {min(x.shape[-2:])} px "
                "cannot be; choose a multiple of 16."
            )
        skipped = []
        for encoder in self.encoders:
            x = encoder(self.pool(x) if skipped else x)
            skipped.append(x)
        skipped.pop()
        for upsampler, decoder in zip(self.upsamplers, self.decoders, strict=True):
            x = decoder(torch.cat([upsampler(x), skipped.pop()], dim=1))
        return self.head(x)


def _level(channels: int, width: int) -> nn.Sequential:
    parts = []
    for before in (channels, width):
        # The norm would cancel a bias.
        convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
        parts += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*parts)


def build(outputs: int, channels: int, width: int) -> UNet:
    """Build a U-Net for a number of masks and of input channels."""
    return UNet(outputs, channels, width)
