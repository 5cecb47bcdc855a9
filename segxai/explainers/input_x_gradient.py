"""Input × gradient: the first-order share of each pixel in a target."""

from collections.abc import Iterable, Iterator

from segxai.explain import removal
from segxai.explain.stream import Attribution, Request, request_gradients
from segxai.networks.network import Network

ABOUT = {
    "title": "Input × gradient", "cites": "arXiv:1605.01713", "needs": ["gradients"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": False,
    "settings": {
        "fill": {
            "enum": ["mean", "black", "blur"], "default": "mean",
            "description": "Input that is attributed nothing: the mean colour, which is 0 of the "
                           "normalised input, black as of Integrated Gradients, or the blurred "
                           "image",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network, requests: Iterable[Request], fill: str, batch_size: int
) -> Iterator[Attribution]:
    r"""Attribute targets F to pixels by :math:`(x_i - b_i) \, \partial F / \partial x_i`.

    With b = 0 this is the method of Shrikumar et al. (arXiv:1605.01713). Zero is the *mean colour*
    of normalised images, so that a pixel of that colour is attributed nothing and a black one much;
    the map changes with the mean and standard deviation that inputs are normalised by. With a black
    b it is the first-order term of Integrated Gradients.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    fill, batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, (C, H, W). They promise no sum.
    """
    for request, slopes, _ in request_gradients(network, requests, batch_size):
        start = removal.fill(network, request.inputs[None], fill)[0]
        yield Attribution((request.inputs - start) * slopes, float("nan"), 1, 0)
