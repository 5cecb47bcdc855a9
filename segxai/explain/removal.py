"""What stands in for pixels that are removed."""

import torch
from torch.nn import functional as F


def blurred(inputs: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur inputs (B, C, H, W) by a Gaussian of a standard deviation in px, cut at three of it.

    Beyond the border lies the pixel at the border.
    """
    radius = max(1, round(3 * sigma))
    distances = torch.arange(-radius, radius + 1, device=inputs.device, dtype=inputs.dtype)
    kernel = (-0.5 * (distances / sigma) ** 2).exp()
    kernel = (kernel / kernel.sum()).expand(inputs.shape[1], 1, -1)
    x = F.pad(inputs, (radius,) * 4, mode="replicate")
    x = F.conv2d(x, kernel[..., None], groups=inputs.shape[1])
    return F.conv2d(x, kernel[:, :, None], groups=inputs.shape[1])
