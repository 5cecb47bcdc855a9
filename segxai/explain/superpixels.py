"""Superpixels of an input, and what their values are as values of pixels."""

import torch
from skimage.segmentation import slic

from segxai.explain.removal import kept_scores
from segxai.explain.stream import Request
from segxai.networks.inputs import restore
from segxai.networks.network import Network


def superpixels(network: Network, inputs: torch.Tensor, segments: int) -> torch.Tensor:
    """Cut an input into superpixels by SLIC (Achanta et al., TPAMI 2012).

    Distances are of CIELAB colours, compactness 10, after a Gaussian blur of 1 px: the noise of
    single pixels would leave fragments that are merged, all of them to one superpixel. An input of
    other than three channels is taken as grey, the mean of its channels: SLIC would compare its
    values as they are, so that the compactness would leave squares.

    Parameters
    ----------
    network
        Knows what the input was normalised by: colours are those of the image.
    inputs : Tensor of shape (C, H, W)
        Normalised.
    segments
        Asked for; there may be more or fewer.

    Returns
    -------
    Tensor of shape (H, W), int64
        Labels 0…n − 1, each in use. Nothing is drawn at random.
    """
    colours = restore(inputs[None], network.mean, network.std)[0]
    if len(colours) != 3:
        colours = colours.mean(dim=0).expand(3, -1, -1)
    pixels = colours.permute(1, 2, 0).double().cpu().numpy()
    labels = torch.from_numpy(slic(pixels, segments, sigma=1, start_label=0)).to(inputs.device)
    return labels.unique(return_inverse=True)[1]


def coalition_scores(
    network: Network,
    request: Request,
    labels: torch.Tensor,
    coalitions: torch.Tensor,
    fill: str,
    background: torch.Tensor,
    batch_size: int,
) -> torch.Tensor:
    """Evaluate a request's target while only some superpixels are kept.

    Parameters
    ----------
    network, request
    labels : Tensor of shape (H, W), int64
        As of :func:`superpixels`, n of them.
    coalitions : Tensor of shape (m, n), bool
        Superpixels that are kept.
    fill, background, batch_size
        As of :func:`segxai.explain.removal.kept_scores`.

    Returns
    -------
    Tensor of shape (m,), float64
        On the CPU.
    """
    masks = (coalition[labels] for coalition in coalitions.to(labels.device))
    return kept_scores(network, request, fill, masks, batch_size, background).cpu()


def spread(values: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Divide the value of each superpixel (n,) evenly among its pixels: (1, H, W), float32."""
    shares = values.double().cpu() / labels.flatten().bincount().cpu()
    return shares.float().to(labels.device)[labels][None]
