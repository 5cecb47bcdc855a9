"""Control: smoothed random numbers, blobs at random places."""

import math
from collections.abc import Iterable, Iterator

import torch

from segxai.explain.removal import blurred
from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network
from segxai.views.grey import pixels

ABOUT = {
    "title": "Random blobs", "cites": "",
    "needs": [],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "sigma": {"type": "number", "exclusiveMinimum": 0, "default": 16,
                  "description": "Standard deviation of the blur, in pixels at 224 px"},
    },
}  # fmt: skip


def explain(network: Network, requests: Iterable[Request], sigma: float) -> Iterator[Attribution]:
    """Draw each pixel independently, blur, and set the least to 0.

    Metrics that reward smooth maps show against these.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative, at no pass
        of the network.
    """
    for request in requests:
        height, width = request.inputs.shape[1:]
        deviation = pixels(sigma, (height, width))
        # Beyond the border lies more noise: a border of any other kind would draw the peaks.
        rim = math.ceil(3 * deviation)
        size = 1, 1, height + 2 * rim, width + 2 * rim
        noise = torch.rand(size, generator=request.generator).to(request.inputs)
        blobs = blurred(noise, deviation)[0, :, rim:-rim, rim:-rim]
        yield Attribution(blobs - blobs.min(), float("nan"), 0, 0)
