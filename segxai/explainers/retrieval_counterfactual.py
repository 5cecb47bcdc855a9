"""Retrieval counterfactual: which cells would have to look like those of another image."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.activations import activations, upsampled
from segxai.explain.stream import Attribution, Request, batched_outputs, batches, padded
from segxai.explain.tail import Tail
from segxai.explain.target import Label
from segxai.networks.features import feature_layer
from segxai.networks.network import Network

ABOUT = {
    "title": "Retrieval counterfactual", "cites": "arXiv:1904.07451",
    "needs": ["activations", "background"],
    "suits": ["convolutional"], "targets": ["label"], "signed": False,
    "complete": False,
    "settings": {
        "background": {
            "type": "integer", "minimum": 1, "default": 50,
            "description": "Validation images, drawn by seed, among which the other image is found",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory with `background`"},
    },
}  # fmt: skip


def check(network: Network, **_) -> None:
    """Refuse a network without the feature map, see :func:`feature_layer`."""
    feature_layer(network, 1, "retrieval_counterfactual")


def explain(
    network: Network,
    requests: Iterable[Request],
    background: torch.Tensor,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Swap cells of the last feature map for those of a real image until the label changes.

    The margin is the logit of the label, less that of the class of the other image where classes
    exclude each other; the other image is that of the background with the least (:func:`opponent`).
    With A the cells of the image and B those of the other, both (Z, K), and g the
    mean gradient of the margin over cells, the cell of largest g·A_i is swapped for that of least
    g·B_j, then the next, and so on, until the margin falls below 0; at least one.

    .. math:: M_i = \max(0, \mathrm{margin\ before} - \mathrm{margin\ after\ the\ swap\ of\ } i)

    and 0 of cells that are not swapped, upsampled bilinearly. Where a pooling and one linear layer
    follow the feature map this is the greedy search of the paper: the margin is a sum over cells,
    so that a sort replaces it. With other heads the sort is of first order; the margins are those
    of the network in any case, from what follows the feature map alone
    (:class:`segxai.explain.tail.Tail`).

    Differs from the paper in that the other image is chosen here, one for all cells.

    Parameters
    ----------
    network
        A convolutional classifier.
    requests
        Inputs with the label that is explained; read as they are needed.
    background : Tensor of shape (M, C, H, W)
        Normalised images.
    batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative. They promise
        no sum. Passes of the background and of what follows the feature map are not counted.

    Raises
    ------
    InputError
        As of :func:`segxai.networks.features.feature_layer`.

    References
    ----------
    Goyal et al., ICML 2019, arXiv:1904.07451.
    """
    layer = feature_layer(network, 1, "retrieval_counterfactual")
    outputs = batched_outputs(network, background, batch_size)
    others = torch.cat(
        [
            activations(network, padded(x, batch_size), layer)[: len(x)]
            for x in background.split(batch_size)
        ]
    )
    for batch, inputs, targets in batches(requests, batch_size):
        tail = Tail(network, layer, inputs)
        for image, target in enumerate(targets[: len(batch)]):
            place, contrast = opponent(outputs, target, network.exclusive)
            gains = swap_gains(tail, image, others[place], contrast, batch_size)
            yield Attribution(upsampled(gains[None], inputs)[0], float("nan"), 0, 1)


def opponent(outputs: torch.Tensor, label: Label, exclusive: bool) -> tuple[int, torch.Tensor]:
    """Find the image that speaks most against a label, and what tells the two apart.

    Parameters
    ----------
    outputs : Tensor of shape (M, K)
        Logits of the images.
    label, exclusive
        Whether the classes exclude each other.

    Returns
    -------
    place : int
        Of the image of least margin.
    contrast : Tensor of shape (K,)
        The margin is its product with the logits: 1 for the label and, among classes that exclude
        each other, −1 for that class of the image which is most likely beside the label.
    """
    contrast, margins = torch.zeros_like(outputs[0]), outputs[:, label.index]
    contrast[label.index] = 1
    if not exclusive:
        return margins.argmin().item(), contrast
    rest = outputs.clone()
    rest[:, label.index] = -torch.inf
    best, rivals = rest.max(dim=1)
    place = (margins - best).argmin().item()
    contrast[rivals[place]] = -1
    return place, contrast


def swap_gains(
    tail: Tail, image: int, other: torch.Tensor, contrast: torch.Tensor, batch_size: int
) -> torch.Tensor:
    """By how much each swapped cell of an image lowers the margin (h, w), 0 of cells that stay.

    `other` holds the cells (K, h, w) that come in.
    """
    maps = tail.activations[image]
    leaf = maps[None].clone().requires_grad_()
    (slopes,) = torch.autograd.grad((tail.outputs(image, leaf) @ contrast).sum(), leaf)
    direction = slopes[0].mean(dim=(1, 2))
    cells, incoming = maps.flatten(1), other.flatten(1)
    most, out = (direction @ cells).sort(descending=True, stable=True)
    least, come = (direction @ incoming).sort(stable=True)
    n_swaps = int((most > least).sum())
    rows = cells.repeat(n_swaps + 1, 1, 1)
    for swap in range(n_swaps):
        rows[swap + 1 :, :, out[swap]] = incoming[:, come[swap]]
    margins = torch.cat(
        [
            tail.outputs(image, padded(some, batch_size))[: len(some)] @ contrast
            for some in rows.view(-1, *maps.shape).split(batch_size)
        ]
    )
    flipped = (margins[1:] < 0).nonzero()
    needed = flipped[0].item() + 1 if len(flipped) else n_swaps
    gains = torch.zeros_like(cells[0])
    gains[out[:needed]] = (-margins.diff()[:needed]).relu()
    return gains.view(maps.shape[1:])
