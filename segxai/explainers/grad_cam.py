"""Grad-CAM, of the last feature map or of several layers at once, through Captum."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request, Score, padded
from segxai.job.log import InputError


def grad_cam(
    score: Score,
    network: nn.Module,
    requests: Iterable[Request],
    layer: str,
    batch_size: int,
) -> Iterator[Attribution]:
    r"""Explain scores of images by the last feature map.

    .. math:: M = \max\left(0, \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c\right)

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2),
    upsampled bilinearly to the input.

    Parameters
    ----------
    score
        F, of logits of `network`.
    network
        timm's convolutional network behind the score.
    requests
        Images, of equally many windows.
    layer
        What A is, see :func:`feature_layer`.
    batch_size
        Inputs per pass, at least the windows of one image.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (W, 1, H, W) that are nowhere negative: zero
        where nothing speaks for the class. They promise no sum.

    Raises
    ------
    InputError
        As of :func:`feature_layer`.
    """
    method = LayerGradCam(score, feature_layer(network, layer))
    waiting = iter(requests)
    while first := list(islice(waiting, 1)):
        windows = len(first[0].inputs)
        size = max(batch_size // windows, 1) * windows
        batch = first + list(islice(waiting, size // windows - 1))
        inputs = padded(torch.cat([request.inputs for request in batch]), size)
        targets = torch.tensor([request.target for request in batch], device=inputs.device)
        # Frozen weights leave no graph: gradients must be asked for at the input.
        maps = method.attribute(
            inputs.detach().requires_grad_(),
            additional_forward_args=padded(targets.repeat_interleave(windows), size),
            relu_attributions=True,
        )
        maps = F.interpolate(
            maps.detach().float(), inputs.shape[-2:], mode="bilinear", align_corners=False
        )
        for values in maps[: len(batch) * windows].split(windows):
            yield Attribution(values, float("nan"), windows, 0)


def feature_layer(network: nn.Module, layer: str) -> nn.Module:
    """Find the layer whose outputs Grad-CAM weighs.

    Parameters
    ----------
    layer
        ``features``: what timm lists as the last feature map, all channels after their
        activation, which global pooling sees. ``convolution``: the last convolution in the
        order of modules, as SegX's code has it; in a DenseNet that is 32 of 1,024 channels.

    Raises
    ------
    InputError
        If the network has no feature maps.
    """
    convolutions = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    maps = getattr(network, "feature_info", ())
    if hasattr(network, "patch_embed") or not (maps if layer == "features" else convolutions):
        raise InputError(
            f"explainers.method: grad_cam needs feature maps, which {type(network).__name__} has "
            "not; choose a convolutional architecture, such as resnet50 or densenet121."
        )
    return network.get_submodule(maps[-1]["module"]) if layer == "features" else convolutions[-1]


def level_maps(
    network: nn.Module, levels: nn.Module, inputs: torch.Tensor, target: int
) -> list[np.ndarray]:
    r"""Explain the score of one class by Grad-CAM of all levels of a network.

    .. math:: M = \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2).
    Only the deepest map is rectified, as MICRA-Net has it: the shallower ones keep their sign.

    Parameters
    ----------
    network
        Maps inputs (1, 3, H, W) to logits (1, C).
    levels
        The layer of `network` whose outputs are the activations A (1, c, h, w) of all levels.
    inputs : Tensor of shape (1, 3, H, W)
    target
        Index of the explained class.

    Returns
    -------
    list of ndarray of shape (h, w), float64
        One map per level, shallow to deep.
    """
    # Activations are tied into one graph only where the input asks for gradients.
    inputs = inputs.detach().requires_grad_()
    maps = LayerGradCam(network, levels).attribute(inputs, target)
    *shallow, deepest = (level[0, 0].detach().double().cpu().numpy() for level in maps)
    return [*shallow, np.maximum(deepest, 0)]
