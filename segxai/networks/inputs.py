"""From pixels to a network's inputs: intensities and their standardisation."""

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from segxai.job.files import read_facts

# Statistics of ImageNet, in the order of red, green and blue.
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FULL_RANGE = {torch.uint8: 2**8 - 1, torch.uint16: 2**16 - 1}


def channel_statistics(
    definition: dict, statistics: str | None, channels: int
) -> dict[str, list[float]]:
    """Mean and deviation of intensities, by channel, that a network's inputs are standardised by.

    With `normalisation` ``training`` they are those of ``statistics.json``; else those of the
    pretraining: timm's values for the architecture, or ImageNet's for networks outside timm. These
    have three channels; for any other number, each channel has their mean.
    """
    if definition["normalisation"] == "training":
        facts = read_facts(statistics)
        return {key: facts[key] for key in ("mean", "std")}
    facts = None
    if "architecture" in definition:
        # Only timm's own networks need timm, which loads as slowly as torch.
        import timm

        facts = timm.get_pretrained_cfg(definition["architecture"])
    mean, std = (facts.mean, facts.std) if facts else (IMAGENET_MEAN, IMAGENET_STD)
    if channels != len(mean):
        mean, std = ([sum(values) / len(values)] * channels for values in (mean, std))
    return {"mean": list(mean), "std": list(std)}


def intensities(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Turn pixels (B, H, W, C) into intensities (B, C, size, size), float32.

    The full range of uint8 and uint16 becomes 0…1; float32 pixels are intensities already. Other
    sizes are reached by antialiased bilinear resizing.
    """
    x = pixels.permute(0, 3, 1, 2).float() / FULL_RANGE.get(pixels.dtype, 1)
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return x


def restore(x: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Give the intensities (B, C, H, W) that :func:`normalise` standardised."""
    shape = (1, -1, 1, 1)
    return x * x.new_tensor(std).view(shape) + x.new_tensor(mean).view(shape)


def normalise(x: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Standardise intensities (B, C, H, W) by the mean and deviation of each channel."""
    shape = (1, -1, 1, 1)
    return (x - x.new_tensor(mean).view(shape)) / x.new_tensor(std).view(shape)
