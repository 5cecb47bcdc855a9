"""Integrated Gradients over noisy copies by Captum: the reference for our quadrature."""

from collections.abc import Iterable, Iterator

import torch
from captum.attr import IntegratedGradients

from segxai.explain import removal
from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network

ABOUT = {
    "title": "Integrated Gradients (Captum)", "cites": "arXiv:1703.01365", "needs": ["gradients"],
    "suits": ["convolutional", "transformer"],
    "targets": ["label", "region"], "signed": True, "complete": True,
    "settings": {
        "steps": {"type": "integer", "minimum": 1, "default": 50,
                  "description": "Gauss–Legendre nodes on the path to each noisy copy"},
        "noise_samples": {"type": "integer", "minimum": 1, "default": 5,
                          "description": "Noisy copies to average over"},
        "noise_std": {
            "type": "number", "minimum": 0, "default": 0.1,
            "description": "Standard deviation of the noise, in units of the normalised input",
        },
        "fill": {
            "enum": ["black", "blur", "mean"], "default": "black",
            "description": "Where paths begin: black, the blurred image or the mean colour. Paths "
                           "from validation images are those of gradient_shap",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 10,
                       "description": "Inputs per pass, at least the noisy copies; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    steps: int,
    noise_samples: int,
    noise_std: float,
    fill: str,
    batch_size: int,
) -> Iterator[Attribution]:
    """Attribute targets by Captum's Gauss–Legendre quadrature, `steps` nodes on each copy's path.

    Noise, parameters and results are those of
    :func:`segxai.explainers.integrated_gradients.explain`; images are explained one by one.
    """
    score = network.score()
    for x, target, generator in requests:
        baseline = removal.fill(network, x[None], fill)
        noise = torch.randn(noise_samples, *x.shape, generator=generator)
        noisy = x + noise.to(x) * noise_std
        method = IntegratedGradients(lambda v, target=target: score(v, [target] * len(v)))
        copies = method.attribute(
            noisy, baseline, n_steps=steps, internal_batch_size=max(batch_size, noise_samples)
        )
        with torch.no_grad():
            end = score(noisy, [target] * noise_samples).double().mean()
            gain = (end - score(baseline, [target]).double()).item()
        yield Attribution(copies.mean(dim=0), gain, noise_samples * steps, noise_samples + 1)
