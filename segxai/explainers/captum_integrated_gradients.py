"""Integrated Gradients over noisy copies by Captum: the reference, and ``engine: captum``."""

from collections.abc import Iterable, Iterator

import torch
from captum.attr import IntegratedGradients

from segxai.explain.stream import Attribution, Request, Score


def captum_gradients(
    score: Score,
    requests: Iterable[Request],
    baseline: torch.Tensor,
    steps: int,
    noise_samples: int,
    noise_std: float,
    batch_size: int,
) -> Iterator[Attribution]:
    """Attribute scores by Captum's Gauss–Legendre quadrature, `steps` nodes on each copy's path.

    The noise is that of :func:`segxai.explainers.integrated_gradients.integrated_gradients`, as are
    parameters and results; images are taken one by one.
    """
    method = IntegratedGradients(score)
    for request in requests:
        x, target = request.inputs, torch.tensor([request.target], device=request.inputs.device)
        values, gain = torch.zeros_like(x), 0.0
        for window in range(len(x)):
            noise = torch.randn(noise_samples, *x.shape[1:], generator=request.generator)
            noisy = x[window] + noise.to(x) * noise_std
            copies = method.attribute(
                noisy,
                baseline,
                additional_forward_args=target.expand(noise_samples),
                n_steps=steps,
                internal_batch_size=max(batch_size, noise_samples),
            )
            values[window] = copies.mean(dim=0)
            with torch.no_grad():
                end = score(noisy, target.expand(noise_samples)).double().mean()
                gain += (end - score(baseline, target).double()).item()
        paths = len(x) * noise_samples
        yield Attribution(values, gain, paths * steps, paths + len(x))
