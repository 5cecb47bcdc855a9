"""Integrated Gradients averaged over noisy copies, many images in one stream of batches."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from segxai.explain.nodes import fit_knee, path_nodes, probe_positions
from segxai.explain.stream import (
    Attribution,
    Request,
    Score,
    completeness_error,
    gradients,
    scores,
)


def integrated_gradients(
    score: Score,
    requests: Iterable[Request],
    baseline: torch.Tensor,
    steps: int,
    noise_samples: int,
    noise_std: float,
    probe: int,
    tolerance: float | None,
    max_steps: int,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Attribute scores of images to their pixels (ExplainSeg §3.3).

    .. math:: A_i = \frac1K \sum_k (x_i + \epsilon_{ki} - x'_i) \int_0^1
              \frac{\partial F(x' + \alpha (x + \epsilon_k - x'))}{\partial x_i} \, d\alpha

    eq. 1 averaged over K noisy copies (SmoothGrad mean).

    Differs from Captum's ``NoiseTunnel(IntegratedGradients)`` in the quadrature, see
    :func:`segxai.explain.nodes.path_nodes`, and in the source of the noise: Captum draws it from
    the global generator for a whole batch, so that its maps depend on how images are batched; here
    each image brings its own generator. Nodes of all images are taken in one order whatever the
    batches, each is added on its own, and all batches have one size: the images before and after
    change no bit of a map. Another batch size does as far as the kernels of the network depend on
    it.

    Memory holds one batch and the images that it touches, whatever their number and the steps.

    Parameters
    ----------
    score
        F: maps inputs (B, 3, H, W) and classes (B,) to scores (B,), here logits.
    requests
        Images; the scores of an image's windows are summed.
    baseline : Tensor of shape (1, 3, H, W)
        x′: where paths begin, here black.
    steps
        Quadrature nodes per copy.
    noise_samples, noise_std
        K, and the standard deviation of ε in units of the normalised input.
    probe
        Forward passes along the path to each noiseless window, to which the grading of the nodes
        is fitted, see :func:`segxai.explain.nodes.fit_knee`.
    tolerance
        Completeness error above which the steps of an image are doubled (all passes are kept);
        None to take every image as it is.
    max_steps
        Steps per copy that doubling may not exceed.
    batch_size
        Inputs per pass.

    Yields
    ------
    Attribution
        One per request, in their order.
    """
    waiting, queue, opened = iter(requests), deque(), deque()
    while True:
        fresh, points = [], len(queue)
        while points < batch_size and (request := next(waiting, None)) is not None:
            fresh.append(_Image(request, baseline, steps, noise_samples, noise_std, probe))
            points += len(request.inputs) * noise_samples * steps
        _probe(score, fresh, batch_size)
        for image in fresh:
            queue.extend(image.next_level())
        opened.extend(fresh)
        if not opened:
            return
        batch = [queue.popleft() for _ in range(min(batch_size, len(queue)))]
        for image in _add_gradients(score, batch, batch_size):
            if image.is_above(tolerance) and 2 * image.steps <= max_steps:
                queue.extend(image.next_level())
            else:
                image.done = True
        while opened and opened[0].done:
            yield opened.popleft().result()


class _Image:
    """An image under way: its noisy copies, what has been summed, and what is still out."""

    def __init__(self, request, baseline, steps, noise_samples, noise_std, probe):
        self.x, self.target, self.baseline = request.inputs, request.target, baseline
        noise = [torch.randn(noise_samples, *x.shape, generator=request.generator) for x in self.x]
        self.copies = self.x[:, None] + torch.stack(noise).to(self.x) * noise_std
        self.positions, self.knees = probe_positions(probe), []
        self.rule, self.level, self.steps = steps, -1, 0
        self.values, self.level_values = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.gain, self.gradients, self.outstanding, self.done = 0.0, 0, 0, False

    def probes(self) -> torch.Tensor:
        """Inputs of forward passes: the baseline, then each window's probe and its copies."""
        positions = torch.tensor(self.positions[1:]).to(self.x).view(-1, 1, 1, 1)
        windows = [
            torch.cat([self.baseline + positions * (x - self.baseline), copies])
            for x, copies in zip(self.x, self.copies, strict=True)
        ]
        return torch.cat([self.baseline, *windows])

    def set_scores(self, scores: torch.Tensor) -> None:
        """Take the scores of :meth:`probes`."""
        start, *others = scores.double().tolist()
        probe, self.forwards = len(self.positions) - 1, len(scores)
        for window in np.reshape(others, (len(self.x), -1)):
            self.knees.append(fit_knee(self.positions, np.r_[start, window[:probe]]))
            self.gain += float(window[probe:].mean() - start)

    def next_level(self) -> list[tuple]:
        """Points of the next level: image, window, copy, position, weight."""
        self.level += 1
        self.steps = self.rule * 2**self.level
        points = [
            (self, window, *node)
            for window, knee in enumerate(self.knees)
            for node in path_nodes(self.rule, self.copies.shape[1], knee, self.level).each()
        ]
        self.outstanding = len(points)
        return points

    def add(self, window: int, attribution: torch.Tensor) -> bool:
        """Add one node's weighted attribution; True when the level is complete."""
        self.level_values[window] += attribution
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


def _probe(score: Score, images: list[_Image], batch_size: int) -> None:
    """Set gain and knees of images, by forward passes alone."""
    if not images:
        return
    inputs = [image.probes() for image in images]
    sizes = [len(each) for each in inputs]
    targets = [image.target for image, size in zip(images, sizes, strict=True) for _ in range(size)]
    inputs = torch.cat(inputs)
    targets = torch.tensor(targets, device=inputs.device)
    found = scores(score, inputs, targets, batch_size)
    for image, values in zip(images, found.split(sizes), strict=True):
        image.set_scores(values)


def _add_gradients(score: Score, batch: list[tuple], batch_size: int) -> list[_Image]:
    """Add the attributions of a batch of points; return images whose level they complete."""
    ways = torch.stack([image.copies[window, copy] for image, window, copy, _, _ in batch])
    ways -= torch.cat([image.baseline for image, *_ in batch])
    positions = torch.tensor([position for *_, position, _ in batch]).to(ways)
    weights = torch.tensor([weight for *_, weight in batch]).to(ways)
    targets = torch.tensor([image.target for image, *_ in batch], device=ways.device)
    points = batch[0][0].baseline + positions.view(-1, 1, 1, 1) * ways
    ways *= gradients(score, points, targets, batch_size)
    ways *= weights.view(-1, 1, 1, 1)
    return [
        image
        for (image, window, *_), each in zip(batch, ways, strict=True)
        if image.add(window, each)
    ]
