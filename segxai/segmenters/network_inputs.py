"""Network outputs that segmenters read: keys, class activation maps or probabilities."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from segxai.job.log import InputError
from segxai.networks.keys import key_features
from segxai.networks.network import Network


def load_network(
    definition: dict,
    size: int | None,
    trained: tuple[str, str, str] | None,
    channels: int,
    device: torch.device,
) -> Network:
    """Load a network that segmenters or views read, for inputs of a size in px.

    None is its own `input_size`. `trained` is weights, card and channel statistics; None for a
    network used as published, which has three channels.
    """
    # Only methods with arguments may have tokens; readers of tokens refuse other networks.
    if size not in (None, definition["input_size"]) and "arguments" in definition:
        # Position embeddings are interpolated to the size of the input.
        arguments = definition["arguments"] | {"dynamic_img_size": True}
        definition = definition | {"arguments": arguments, "input_size": size}
    try:
        if trained is None:
            return Network.published(definition, device)
        return Network.load(*trained, definition, channels, device)
    except InputError as error:
        # This argument does not come from the user.
        if "dynamic_img_size" not in str(error):
            raise
        raise InputError(
            f"segmenters: {definition['architecture']} has no attention blocks whose keys could be "
            "read at any input_size; name a network with a `vit_*` architecture."
        ) from error


def keys(network: Network, image: np.ndarray, centre: bool) -> np.ndarray:
    """Keys (h, w, d) of the tokens of an image (H, W, C), from the last attention block."""
    return key_features(network.module, network.inputs(image[None]), centre)[0].cpu().numpy()


def levels(network: Network, image: np.ndarray, target: int) -> list[np.ndarray]:
    """Class activation maps of all levels, see :func:`level_maps`, of an image (H, W, C)."""
    module = network.module
    if not hasattr(module, "levels"):
        raise InputError(
            f"segmenters: activation maps of all levels need MICRA-Net, and this network is "
            f"{type(module).__name__}; name a network of method micranet."
        )
    return level_maps(module, module.levels, network.inputs(image[None]), target)


@torch.no_grad()
def probabilities(network: Network, image: np.ndarray) -> np.ndarray:
    """Probability (C, H, W) of each mask at each pixel of an image (H, W, C').

    Logits are resized bilinearly before the sigmoid.
    """
    logits = network.outputs(network.inputs(image[None]))
    full = F.interpolate(logits, image.shape[:2], mode="bilinear", align_corners=False)
    return full.sigmoid()[0].cpu().numpy()


def level_maps(
    module: nn.Module, levels: nn.Module, inputs: torch.Tensor, target: int
) -> list[np.ndarray]:
    r"""Explain the score of one class by Grad-CAM of all levels of a network.

    .. math:: M = \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2).
    Only the deepest map is rectified, as in MICRA-Net; the shallower ones keep their sign.

    Parameters
    ----------
    module
        Maps inputs (1, C, H, W) to logits (1, K).
    levels
        The layer of `module` whose outputs are the activations A (1, c, h, w) of all levels.
    inputs : Tensor of shape (1, C, H, W)
    target
        Index of the explained class.

    Returns
    -------
    list of ndarray of shape (h, w), float64
        One map per level, shallow to deep.
    """
    # It loads matplotlib, and only this network needs it.
    from captum.attr import LayerGradCam

    # Activations are in one graph only if the input requires gradients.
    inputs = inputs.detach().requires_grad_()
    maps = LayerGradCam(module, levels).attribute(inputs, target)
    *shallow, deepest = (level[0, 0].detach().double().cpu().numpy() for level in maps)
    return [*shallow, np.maximum(deepest, 0)]
