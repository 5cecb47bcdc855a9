"""Integrated Gradients averaged over noisy copies of the input (Noise Tunnel), through Captum."""

from collections.abc import Callable

import torch
from captum.attr import IntegratedGradients


def integrated_gradients(
    score: Callable[[torch.Tensor], torch.Tensor],
    inputs: torch.Tensor,
    baseline: torch.Tensor,
    generator: torch.Generator,
    steps: int,
    noise_samples: int,
    noise_std: float,
    batch_size: int,
) -> tuple[torch.Tensor, float]:
    r"""Attribute the score of one image to its pixels (ExplainSeg §3.3).

    .. math:: A_i = \frac1K \sum_k (x_i + \epsilon_{ki} - x'_i) \int_0^1
              \frac{\partial F(x' + \alpha (x + \epsilon_k - x'))}{\partial x_i} \, d\alpha

    eq. 1 averaged over K noisy copies (SmoothGrad mean), by Gauss–Legendre quadrature.

    Differs from Captum's ``NoiseTunnel(IntegratedGradients)`` in the source of the noise alone:
    Captum draws it from the global generator for a whole batch, so that its maps depend on how
    images are batched; here each image brings its own generator.

    Parameters
    ----------
    score
        F: maps inputs (B, 3, H, W) to scores (B,), here the logit of the explained class.
    inputs : Tensor of shape (W, 3, H, W)
        The windows of one image; their scores are summed.
    baseline : Tensor broadcastable to `inputs`
        x′: where paths begin, here black.
    generator
        CPU generator of the noise.
    steps
        Quadrature nodes per path.
    noise_samples, noise_std
        K, and the standard deviation of ε in units of the normalised input.
    batch_size
        Inputs per pass; bounds memory and does not depend on the steps.

    Returns
    -------
    attribution : Tensor of shape of `inputs`, float32
    gain : float
        mean over k of F(x + ε_k) − F(x′), summed over windows: what the attribution must sum to
        (completeness).
    """
    method = IntegratedGradients(score)
    attribution, gain = torch.zeros_like(inputs), 0.0
    for window in range(len(inputs)):
        x = inputs[window : window + 1]
        noise = torch.randn(noise_samples, *x.shape[1:], generator=generator) * noise_std
        noisy = x + noise.to(x.device) if noise_std > 0 else x.expand(noise_samples, -1, -1, -1)
        start = baseline.expand_as(x)
        copies = method.attribute(
            noisy, start, n_steps=steps, internal_batch_size=max(batch_size, noise_samples)
        )
        attribution[window] = copies.mean(dim=0)
        with torch.no_grad():
            gain += (score(noisy).mean() - score(start).mean()).item()
    return attribution.float(), gain


def completeness_error(attribution: torch.Tensor, gain: float) -> float:
    """Relative completeness error ``|Σ attribution − gain| / |gain|``; NaN where the gain is 0."""
    return abs(attribution.double().sum().item() - gain) / abs(gain) if gain else float("nan")
