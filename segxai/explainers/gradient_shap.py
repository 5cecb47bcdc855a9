"""Gradient SHAP: gradients on paths from background images to the explained image."""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from segxai.explain.stream import Attribution, Request, batched_outputs, gradients, stacked
from segxai.explain.target import evaluate
from segxai.networks.network import Network

ABOUT = {
    "title": "Gradient SHAP", "cites": "arXiv:1705.07874; doi:10.1038/s42256-021-00343-w",
    "needs": ["gradients", "background"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": True,
    "settings": {
        "background": {
            "type": "integer", "minimum": 1, "default": 50,
            "description": "Validation images, drawn by seed, for comparison",
        },
        "samples": {"type": "integer", "minimum": 1, "default": 50,
                    "description": "Pairs of a background image and a position on the path"},
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    background: torch.Tensor,
    samples: int,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets to the pixels of their images, relative to background images.

    .. math:: A_i = \frac1K \sum_k (x_i - b_{ki})
              \frac{\partial F(b_k + \alpha_k (x - b_k))}{\partial x_i}

    estimates the SHAP values of independent features (expected gradients) from K pairs of a
    background image b_k and a position α_k in 0…1.

    Differs from Captum's ``GradientShap`` and from ``shap.GradientExplainer`` in how the pairs are
    drawn: both draw 2K independent numbers from global generators. Here each image has its own
    generator, and the K pairs are spread evenly: background images are used equally often, and each
    K-th of 0…1 holds one position. The expectation is the same, the variance smaller: on phantoms
    and a ResNet-10 the distance of the values at K = 50 from those at 3,000 fell from 0.40 to 0.31
    of their norm.

    Parameters
    ----------
    network
    requests
        Inputs with the explained target F; read when needed.
    background : Tensor of shape (M, C, H, W)
        Normalised images; of more than `samples` (K) a random part is used.
    samples, batch_size
        Settings of `ABOUT`; a batch holds the pairs of one image after another.

    Yields
    ------
    Attribution
        One per request, in their order. Its gain is F(x) − mean over k of F(b_k): what the
        attribution must sum to (completeness) as K grows.

    References
    ----------
    Lundberg & Lee, NeurIPS 2017, arXiv:1705.07874; Erion et al., Nature Machine Intelligence 3
    (2021), doi:10.1038/s42256-021-00343-w.
    """
    opened = deque()
    background_outputs = batched_outputs(network, background, batch_size)

    def points() -> Iterator[tuple]:
        for request in requests:
            starts = evaluate(background_outputs, [request.target] * len(background))
            image = _Image(request, starts, samples)
            opened.append(image)
            pairs = draw_pairs(len(background), samples, request.generator)
            for chosen, position in zip(*(values.tolist() for values in pairs), strict=True):
                yield image, chosen, position

    waiting = points()
    while batch := list(islice(waiting, batch_size)):
        _add_gradients(network, background, batch, batch_size)
        while opened and not opened[0].outstanding:
            yield opened.popleft().result(network)


class _Image:
    """An unfinished image: its sums so far and the number of open pairs."""

    def __init__(self, request: Request, starts: torch.Tensor, samples: int):
        self.x, self.target, self.starts, self.samples = *request[:2], starts, samples
        self.values, self.start = torch.zeros_like(self.x), 0.0
        self.outstanding = samples

    def add(self, chosen: int, attribution: torch.Tensor) -> None:
        """Add the attribution of one pair."""
        self.values += attribution / self.samples
        self.start += self.starts[chosen].item() / self.samples
        self.outstanding -= 1

    @torch.no_grad()
    def result(self, network: Network) -> Attribution:
        gain = network.score()(stacked([self.x]), [self.target]).double().sum().item() - self.start
        return Attribution(self.values, gain, self.samples, 1)


def _add_gradients(
    network: Network, background: torch.Tensor, batch: list[tuple], batch_size: int
) -> None:
    """Add the attributions of a batch of pairs to their images."""
    images, chosen, positions = zip(*batch, strict=True)
    x, start = torch.stack([image.x for image in images]), background[list(chosen)]
    alpha = torch.tensor(positions).to(x).view(-1, 1, 1, 1)
    targets = [image.target for image in images]
    slopes = gradients(network, torch.lerp(start, x, alpha), targets, batch_size)
    for image, index, attribution in zip(images, chosen, (x - start) * slopes, strict=True):
        image.add(index, attribution)


def draw_pairs(
    n_background: int, samples: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw background indices and positions in 0…1, each (samples,) and evenly spread."""
    rounds = -(-samples // n_background)
    chosen = [torch.randperm(n_background, generator=generator) for _ in range(rounds)]
    strata = torch.randperm(samples, generator=generator)
    positions = (strata + torch.rand(samples, generator=generator)) / samples
    return torch.cat(chosen)[:samples], positions
