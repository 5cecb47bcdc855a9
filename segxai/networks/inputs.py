"""From pixels to a network's inputs: windows, intensities and their standardisation."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

from segxai.job.files import read_facts


def channel_statistics(model: dict, statistics: str | None) -> dict[str, list[float]]:
    """Mean and deviation of intensities, by channel, that a model's inputs are standardised by.

    Parameters
    ----------
    model
        ``models.<name>``; its `normalisation` decides.
    statistics
        ``statistics.json`` of the training images (`normalisation: training`).

    Returns
    -------
    dict
        mean and std, three numbers each. Of the pretraining: what timm says of the architecture,
        ImageNet's for any that it does not know.
    """
    if model["normalisation"] == "training":
        facts = read_facts(statistics)
        return {key: facts[key] for key in ("mean", "std")}
    # Loading timm takes as long as loading torch, and some jobs need nothing else of it.
    import timm
    from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    facts = timm.get_pretrained_cfg(model["architecture"])
    mean, std = (facts.mean, facts.std) if facts else (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    return {"mean": list(mean), "std": list(std)}


def intensities(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """Turn pixels (B, H, W, 3), uint8, into intensities (B, 3, size, size), float32 in 0…1.

    Other sizes are reached by antialiased bilinear resizing.
    """
    x = pixels.permute(0, 3, 1, 2).float() / 255
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return x


def normalise(x: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """Standardise intensities (B, 3, H, W) by the training subset's channel mean and deviation."""
    shape = (1, 3, 1, 1)
    return (x - x.new_tensor(mean).view(shape)) / x.new_tensor(std).view(shape)


def split_windows(image: np.ndarray, grid: int) -> np.ndarray:
    """Cut an image (H, W, 3) into grid × grid windows (grid², H/grid, W/grid, 3), row-major."""
    height, width, channels = image.shape
    h, w = height // grid, width // grid
    windows = image[: h * grid, : w * grid].reshape(grid, h, grid, w, channels)
    return windows.swapaxes(1, 2).reshape(grid * grid, h, w, channels)


def join_windows(windows: np.ndarray, grid: int) -> np.ndarray:
    """Put maps of windows (grid², h, w, …) back into one map (grid·h, grid·w, …)."""
    _, h, w, *rest = windows.shape
    joined = windows.reshape(grid, grid, h, w, *rest).swapaxes(1, 2)
    return joined.reshape(grid * h, grid * w, *rest)
