"""Control: the edges of the image."""

from collections.abc import Iterable, Iterator

import torch
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request
from segxai.networks.network import Network

ABOUT = {
    "title": "Edges", "cites": "",
    "needs": [],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {},
}  # fmt: skip


def explain(network: Network, requests: Iterable[Request]) -> Iterator[Attribution]:
    r"""Give the magnitude of the Sobel gradient of the grey image.

    .. math:: M = \sqrt{(K * I)^2 + (K^T * I)^2}, \quad
              K = \frac18 \begin{pmatrix} -1 & 0 & 1 \\ -2 & 0 & 2 \\ -1 & 0 & 1 \end{pmatrix}

    with I the mean intensity over channels, continued beyond the border by its outermost pixels.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative, at no pass
        of the network.
    """
    slope = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=network.device) / 8
    kernels = torch.stack([slope, slope.T])[:, None]
    for request in requests:
        image = F.pad(network.grey(request.inputs[None]), (1, 1, 1, 1), mode="replicate")
        yield Attribution(F.conv2d(image, kernels).norm(dim=1), float("nan"), 0, 0)
