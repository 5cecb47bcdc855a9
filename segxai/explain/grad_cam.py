"""Grad-CAM of several layers at once, through Captum."""

import numpy as np
import torch
from captum.attr import LayerGradCam
from torch import nn


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
