"""Grad-CAM, of the last feature map or of several layers at once, through Captum."""

from collections.abc import Callable

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional as F

from segxai.runtime import InputError


def grad_cam(
    score: Callable[[torch.Tensor], torch.Tensor],
    network: nn.Module,
    inputs: torch.Tensor,
    layer: str,
) -> torch.Tensor:
    r"""Explain the score of one image by its last feature map.

    .. math:: M = \max\left(0, \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c\right)

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2),
    upsampled bilinearly to the input.

    Parameters
    ----------
    score
        F: maps inputs (B, 3, H, W) to scores (B,) through `network`.
    network
        timm's convolutional network behind the score.
    inputs : Tensor of shape (W, 3, H, W)
        The windows of one image.
    layer
        What A is, see :func:`feature_layer`.

    Returns
    -------
    Tensor of shape (W, 1, H, W), float32, non-negative
        Zero where nothing speaks for the class.

    Raises
    ------
    InputError
        As of :func:`feature_layer`.
    """
    # Frozen weights leave no graph: gradients must be asked for at the input.
    inputs = inputs.detach().requires_grad_()
    method = LayerGradCam(score, feature_layer(network, layer))
    maps = method.attribute(inputs, relu_attributions=True).detach().float()
    return F.interpolate(maps, inputs.shape[-2:], mode="bilinear", align_corners=False)


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
