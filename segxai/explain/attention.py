"""Attention of a plain vision transformer: read in a pass, and shown as a map of patches."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from segxai.explain.activations import upsampled
from segxai.job.log import InputError
from segxai.networks.features import outputs_of
from segxai.networks.network import Network


def check_attention(network: Network, explainer: str) -> None:
    """Refuse a network other than a plain ViT of timm, and a head that pools by attention."""
    module = network.module
    layers = [getattr(block, "attn", None) for block in getattr(module, "blocks", ())]
    readable = layers and all(hasattr(x, "attn_drop") and hasattr(x, "fused_attn") for x in layers)
    if not readable or getattr(module, "global_pool", None) not in ("token", "avg"):
        raise InputError(
            f"explainers: {explainer} needs the attention of blocks and a class token or the mean "
            f"of tokens, which {type(module).__name__} lacks; choose a plain vision transformer, "
            "such as vit_small_patch16_224."
        )


@contextlib.contextmanager
def attention_weights(module: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Give the attention weights (B, heads, N, N) of each block in the pass within the block.

    Fused attention makes no weights; it is off within, and as it was afterwards.
    """
    layers = [block.attn for block in module.blocks]
    before = [layer.fused_attn for layer in layers]
    weights = []
    try:
        for layer in layers:
            layer.fused_attn = False
        # What dropout gives out are the weights that values are summed by.
        with outputs_of(layer.attn_drop for layer in layers) as outputs:
            yield weights
            weights += [outputs[layer.attn_drop] for layer in layers]
    finally:
        for layer, fused in zip(layers, before, strict=True):
            layer.fused_attn = fused


def own_tokens(weights: list[torch.Tensor]) -> torch.Tensor:
    """Relevance (B, N, N) before the first block: each token takes from itself alone."""
    batch, _, n, _ = weights[0].shape
    # One matrix an image: a product with one for all rounds by the place in the batch.
    return torch.eye(n, device=weights[0].device).repeat(batch, 1, 1)


def patch_map(relevance: torch.Tensor, module: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Map (B, 1, H, W) of what the pooled tokens take from each patch.

    Parameters
    ----------
    relevance : Tensor of shape (B, N, N)
        Row i: what token i takes from each token, those before the patches first.
    module
        Its head reads the class token, the first, or the mean of the patches.
    inputs : Tensor of shape (…, H, W)
        Patches are upsampled bilinearly to its size.
    """
    before = module.num_prefix_tokens
    pooled = relevance[:, :1] if module.global_pool == "token" else relevance[:, before:]
    patches = pooled.mean(dim=1)[:, before:]
    grid = module.patch_embed.dynamic_feat_size(inputs.shape[-2:])
    return upsampled(patches.unflatten(1, grid), inputs)
