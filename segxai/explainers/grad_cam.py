"""Grad-CAM of the last feature map, through Captum."""

from collections.abc import Iterable, Iterator
from itertools import islice

from captum.attr import LayerGradCam
from torch import nn
from torch.nn import functional as F

from segxai.explain.stream import Attribution, Request, padded, padded_list, stacked
from segxai.job.log import InputError
from segxai.networks.network import Network
from segxai.networks.weights import head_names

ABOUT = {
    "title": "Grad-CAM", "cites": "arXiv:1610.02391; arXiv:2002.11434",
    "needs": ["gradients", "activations"], "targets": ["label", "region"], "signed": False,
    "complete": False,
    "settings": {
        "layer": {
            "enum": ["features", "convolution"], "default": "convolution",
            "description": "The last feature map, or the last convolution before the head (SegX)",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def explain(
    network: Network, requests: Iterable[Request], layer: str, batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets by the last feature map.

    .. math:: M = \max\left(0, \sum_c \overline{\frac{\partial F}{\partial A_c}} A_c\right)

    where the bar is the mean over positions (Selvaraju et al., arXiv:1610.02391, eqs. 1 and 2),
    upsampled bilinearly to the input. Of a region of a segmenter's output this is Seg-Grad-CAM
    (Vinogradova et al., AAAI 2020, arXiv:2002.11434).

    Parameters
    ----------
    network
        A convolutional one.
    requests
        Inputs with the target F that is explained; read as they are needed.
    layer, batch_size
        As of `ABOUT`; what A is, see :func:`feature_layer`.

    Yields
    ------
    Attribution
        One per request, in their order, with maps (1, H, W) that are nowhere negative: zero where
        nothing speaks for the target. They promise no sum.

    Raises
    ------
    InputError
        As of :func:`feature_layer`.
    """
    score, weighed = network.score(), feature_layer(network.module, layer)
    waiting = iter(requests)
    while batch := list(islice(waiting, batch_size)):
        inputs = padded(stacked(request.inputs for request in batch), batch_size)
        targets = padded_list([request.target for request in batch], batch_size)
        method = LayerGradCam(lambda x, targets=targets: score(x, targets), weighed)
        # Frozen weights leave no graph: gradients must be asked for at the input.
        maps = method.attribute(inputs.detach().requires_grad_(), relu_attributions=True)
        maps = F.interpolate(
            maps.detach().float(), inputs.shape[-2:], mode="bilinear", align_corners=False
        )
        for values in maps[: len(batch)]:
            yield Attribution(values, float("nan"), 1, 0)


def feature_layer(network: nn.Module, layer: str) -> nn.Module:
    """Find the layer whose outputs Grad-CAM weighs.

    Parameters
    ----------
    layer
        ``features``: the last map that the network lists in ``feature_info``, after its activation:
        what global pooling sees in timm's classifiers, the bottleneck of a U-Net.
        ``convolution``: the last convolution before the head in the order of modules, as SegX's
        code has it; in a DenseNet that is 32 of 1,024 channels.

    Raises
    ------
    InputError
        If the network has no feature maps.
    """
    head = head_names(network)
    convolutions = [
        part
        for name, part in network.named_modules()
        if isinstance(part, nn.Conv2d) and not f"{name}.".startswith(head)
    ]
    maps = getattr(network, "feature_info", ())
    if hasattr(network, "patch_embed") or not (maps if layer == "features" else convolutions):
        raise InputError(
            f"explainers: grad_cam needs feature maps, which {type(network).__name__} has "
            "not; choose a convolutional architecture, such as resnet50 or densenet121."
        )
    return network.get_submodule(maps[-1]["module"]) if layer == "features" else convolutions[-1]
