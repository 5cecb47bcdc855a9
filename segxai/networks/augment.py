"""Random flips, rotations and colour jitter, each drawn from a given generator."""

import math

import torch
from torch.nn import functional as F


def augment(
    x: torch.Tensor,
    channels: int,
    flip: float,
    jitter: float,
    rotation: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Augment images as in ExplainSeg §4.1: horizontal flip, colour jitter, rotation.

    Parameters
    ----------
    x : Tensor of shape (B, C + M, H, W)
        Intensities in 0…1, and masks after them, which move with their image; jitter does not
        change masks.
    channels
        C.
    flip
        Probability of a horizontal flip.
    jitter
        Half-width of the uniform factors of brightness, contrast and saturation about 1.
    rotation
        Largest rotation in degrees either way, about the centre; uncovered corners are reflected.
    generator
        CPU generator of all draws.

    Returns
    -------
    Tensor of shape (B, C + M, H, W), in 0…1
    """
    n = len(x)
    draws = torch.rand(n, 5, generator=generator).to(x.device)
    x = torch.where((draws[:, 0] < flip).view(n, 1, 1, 1), x.flip(-1), x)
    if rotation > 0:
        angle = (2 * draws[:, 1] - 1) * math.radians(rotation)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        theta = torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(n, 2, 3)
        grid = F.affine_grid(theta, list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    x, masks = x[:, :channels], x[:, channels:]
    factors = (1 + (2 * draws[:, 2:] - 1) * jitter).view(n, 3, 1, 1, 1)
    x = x * factors[:, 0]
    x = torch.lerp(x.mean(dim=(1, 2, 3), keepdim=True), x, factors[:, 1])
    x = torch.lerp(x.mean(dim=1, keepdim=True), x, factors[:, 2])
    return torch.cat([x, masks], dim=1).clamp(0, 1)
