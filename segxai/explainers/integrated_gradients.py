"""Integrated Gradients averaged over noisy copies, for many images in one stream of batches."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from segxai.explain import removal
from segxai.explain.nodes import fit_knee, path_nodes, probe_positions
from segxai.explain.stream import Attribution, Request, completeness_error, gradients, scores
from segxai.networks.network import Network

ABOUT = {
    "title": "Integrated Gradients", "cites": "arXiv:1703.01365", "needs": ["gradients"],
    "suits": ["convolutional", "transformer"],
    "targets": ["label", "region"], "signed": True, "complete": True,
    "settings": {
        "steps": {"type": "integer", "minimum": 1, "default": 6,
                  "description": "Quadrature nodes per noisy copy"},
        "noise_samples": {
            "type": "integer", "minimum": 1, "default": 5,
            "description": "Noisy copies to average over (ExplainSeg §3.3)",
        },
        "noise_std": {
            "type": "number", "minimum": 0, "default": 0.1,
            "description": "Standard deviation of the noise, in units of the normalised input",
        },
        "fill": {
            "enum": ["black", "blur", "mean"], "default": "black",
            "description": "Where paths begin: black, the blurred image or the mean colour. Paths "
                           "from validation images are those of gradient_shap",
        },
        "probe": {"type": "integer", "minimum": 1, "default": 8,
                  "description": "Forward passes along the path to fit the nodes"},
        "tolerance": {
            "type": ["number", "null"], "exclusiveMinimum": 0, "default": 0.1,
            "description": "Completeness error above which steps are doubled; null for never",
        },
        "max_steps": {"type": "integer", "minimum": 1, "default": 24,
                      "description": "Largest number of steps per copy by doubling"},
        "batch_size": {"type": "integer", "minimum": 1, "default": 10,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network,
    requests: Iterable[Request],
    steps: int,
    noise_samples: int,
    noise_std: float,
    fill: str,
    probe: int,
    tolerance: float | None,
    max_steps: int,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute targets to the pixels of their images (ExplainSeg §3.3).

    .. math:: A_i = \frac1K \sum_k (x_i + \epsilon_{ki} - x'_i) \int_0^1
              \frac{\partial F(x' + \alpha (x + \epsilon_k - x'))}{\partial x_i} \, d\alpha

    eq. 1 averaged over K noisy copies (SmoothGrad mean).

    Differs from Captum's ``NoiseTunnel(IntegratedGradients)`` in the quadrature, see
    :func:`segxai.explain.nodes.path_nodes`, and in the source of the noise: Captum draws it from
    the global generator for a whole batch, so that its maps depend on how images are batched; here
    each image has its own generator. Nodes of all images are taken in one order, each is added by
    itself, and all batches have one size: a map is bit-identical whatever images come before and
    after. Another batch size may change last bits, as far as the network's kernels depend on it.

    Memory holds one batch and the images that it touches, whatever their number and the steps.

    Parameters
    ----------
    network
        Frozen.
    requests
        Inputs with the explained target F; read when needed.
    steps, …
        Settings of `ABOUT`: K are the noise samples, ε the noise; x′ is the fill of the image
        without noise, see :func:`segxai.explain.removal.fill`; the grading of the nodes is
        fitted to the probe (:func:`segxai.explain.nodes.fit_knee`), and where the tolerance doubles
        the steps of an image, earlier passes still count.

    Yields
    ------
    Attribution
        One per request, in their order.
    """
    waiting, queue, opened = iter(requests), deque(), deque()
    while True:
        fresh, points = [], len(queue)
        while points < batch_size and (request := next(waiting, None)) is not None:
            baseline = removal.fill(network, request.inputs[None], fill)
            fresh.append(_Image(request, baseline, steps, noise_samples, noise_std, probe))
            points += noise_samples * steps
        _probe(network, fresh, batch_size)
        for image in fresh:
            queue.extend(image.next_level())
        opened.extend(fresh)
        if not opened:
            return
        batch = [queue.popleft() for _ in range(min(batch_size, len(queue)))]
        for image in _add_gradients(network, batch, batch_size):
            if image.is_above(tolerance) and 2 * image.steps <= max_steps:
                queue.extend(image.next_level())
            else:
                image.done = True
        while opened and opened[0].done:
            yield opened.popleft().result()


class _Image:
    """An unfinished image: its noisy copies, its sums so far and its open nodes."""

    def __init__(self, request, baseline, steps, noise_samples, noise_std, probe):
        self.x, self.target, self.baseline = request.inputs, request.target, baseline
        noise = torch.randn(noise_samples, *self.x.shape, generator=request.generator)
        self.copies = self.x + noise.to(self.x) * noise_std
        self.positions = probe_positions(probe)
        self.rule, self.level, self.steps = steps, -1, 0
        self.values, self.level_values = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.gradients, self.outstanding, self.done = 0, 0, False

    def probes(self) -> torch.Tensor:
        """Inputs of forward passes: the baseline, the path to the image, and its copies."""
        positions = torch.tensor(self.positions[1:]).to(self.x).view(-1, 1, 1, 1)
        path = self.baseline + positions * (self.x - self.baseline)
        return torch.cat([self.baseline, path, self.copies])

    def set_scores(self, scores: torch.Tensor) -> None:
        """Set the knee of the path and the gain from the scores of :meth:`probes`."""
        values, probe = np.array(scores.double().tolist()), len(self.positions)
        self.forwards = len(values)
        self.knee = fit_knee(self.positions, values[:probe])
        self.gain = float(values[probe:].mean() - values[0])

    def next_level(self) -> list[tuple]:
        """Points of the next level: image, copy, position, weight."""
        self.level += 1
        self.steps = self.rule * 2**self.level
        nodes = path_nodes(self.rule, len(self.copies), self.knee, self.level)
        points = [(self, *node) for node in nodes.each()]
        self.outstanding = len(points)
        return points

    def add(self, attribution: torch.Tensor) -> bool:
        """Add one node's weighted attribution; True when the level is complete."""
        self.level_values += attribution
        self.gradients += 1
        self.outstanding -= 1
        if not self.outstanding:
            share = 1.0 if self.level == 0 else 0.5
            self.values.lerp_(self.level_values, share)
            self.level_values.zero_()
        return not self.outstanding

    def is_above(self, tolerance: float | None) -> bool:
        return tolerance is not None and completeness_error(self.values, self.gain) > tolerance

    def result(self) -> Attribution:
        return Attribution(self.values, self.gain, self.gradients, self.forwards)


def _probe(network: Network, images: list[_Image], batch_size: int) -> None:
    """Set gain and knee of images, by forward passes alone."""
    if not images:
        return
    inputs = [image.probes() for image in images]
    sizes = [len(rows) for rows in inputs]
    targets = [image.target for image, size in zip(images, sizes, strict=True) for _ in range(size)]
    values = scores(network, torch.cat(inputs), targets, batch_size)
    for image, own in zip(images, values.split(sizes), strict=True):
        image.set_scores(own)


def _add_gradients(network: Network, batch: list[tuple], batch_size: int) -> list[_Image]:
    """Add the attributions of a batch of points; return images whose level they complete."""
    images, copies, positions, weights = zip(*batch, strict=True)
    ways = torch.stack([image.copies[copy] for image, copy in zip(images, copies, strict=True)])
    baseline = torch.cat([image.baseline for image in images])
    ways -= baseline
    points = baseline + torch.tensor(positions).to(ways).view(-1, 1, 1, 1) * ways
    targets = [image.target for image in images]
    ways *= gradients(network, points, targets, batch_size)
    ways *= torch.tensor(weights).to(ways).view(-1, 1, 1, 1)
    return [image for image, own in zip(images, ways, strict=True) if image.add(own)]
