"""Ablation-CAM: feature maps weighed by what the target loses without each."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import upsampled, weighed
from segxai.explain.stream import Attribution, Request, batches, padded
from segxai.explain.tail import Tail
from segxai.explain.target import Target, evaluate
from segxai.networks.features import feature_layer
from segxai.networks.network import Network

ABOUT = {
    "title": "Ablation-CAM", "cites": "doi:10.1109/WACV45572.2020.9093360",
    "needs": ["gradients", "activations"],
    "suits": ["convolutional"], "targets": ["label"], "signed": False,
    "complete": False,
    "settings": {
        "stage": {
            "type": "integer", "minimum": 1, "default": 1,
            "description": "Which feature map of those that the network lists: 1 the last, 2 the "
                           "one before (stage 3 of a ResNet), …",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs, or maps without a channel, per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, stage: int, **_) -> None:
    """Refuse a network without the feature map, see :func:`feature_layer`."""
    feature_layer(network, stage, "ablation_cam")


def explain(
    network: Network, requests: Iterable[Request], stage: int, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by a feature map, each channel weighed by what the target loses without it.

    .. math:: M = \max\left(0, \sum_k (F - F_{A_k = 0}) A_k\right)

    Where the target is an affine function of A (global pooling and one linear layer), what is lost
    is Σ_ij A_kij ∂F/∂A_kij: one gradient serves all channels. For any other network only what
    follows the feature map is run again, see :class:`segxai.explain.tail.Tail`.

    Differs from the paper in that the loss is not divided by F, which changes nothing of a map but
    its scale where F > 0, and turns it over where F < 0. ``pytorch-grad-cam`` divides too; it runs
    the whole network for each channel, and where channels have no zero it ablates to a value that
    depends on their place in the batch.

    Regions of a segmenter are not explained: beside its skip connections a channel of a bottleneck
    may move a logit by less than float32 resolves.

    Parameters
    ----------
    network
        A convolutional one.
    requests
        Inputs with the target F that is explained; read as they are needed.
    stage, batch_size
        As of `ABOUT`; what A is, see :func:`segxai.networks.features.feature_layer`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative. They promise
        no sum. Passes of what follows the feature map are not counted.

    Raises
    ------
    InputError
        As of :func:`segxai.networks.features.feature_layer`.

    References
    ----------
    Desai & Ramaswamy, WACV 2020.
    """
    layer = feature_layer(network, stage, "ablation_cam")
    if Tail(network, layer, network.black()).is_affine():
        yield from weighed(network, requests, layer, batch_size, combine)
        return
    for batch, inputs, targets in batches(requests, batch_size):
        tail = Tail(network, layer, inputs)
        for image, target in enumerate(targets[: len(batch)]):
            maps = tail.activations[image]
            weights = losses(tail, image, target, batch_size)
            cam = torch.einsum("k,khw->hw", weights, maps).relu()
            yield Attribution(upsampled(cam[None], inputs)[0], float("nan"), 0, 1)


def combine(activations: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Weigh feature maps (B, K, h, w) by what an affine target loses: maps (B, h, w)."""
    weights = (slopes * activations).sum(dim=(2, 3), keepdim=True)
    return (weights * activations).sum(dim=1).relu()


def losses(tail: Tail, image: int, target: Target, batch_size: int) -> torch.Tensor:
    """What the target of an image loses without each channel (K,), in passes of `batch_size`.

    A channel that is zero everywhere is not run.
    """
    maps = tail.activations[image]

    def value(rows: torch.Tensor) -> torch.Tensor:
        outputs = tail.outputs(image, padded(rows, batch_size))
        return evaluate(outputs, [target] * batch_size)[: len(rows)]

    weights, whole = maps.new_zeros(len(maps)), value(maps[None])
    for channels in maps.flatten(1).any(dim=1).nonzero()[:, 0].split(batch_size):
        rows = maps.repeat(len(channels), 1, 1, 1)
        rows[torch.arange(len(channels)), channels] = 0
        weights[channels] = whole - value(rows)
    return weights
