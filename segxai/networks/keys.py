"""Keys of a vision transformer."""

import torch
from torch import nn

from segxai.job.log import InputError


@torch.no_grad()
def key_features(model: nn.Module, inputs: torch.Tensor, centre: bool = False) -> torch.Tensor:
    """Keys of the last attention block of a timm ViT (Amir et al., arXiv:2112.05814).

    They are read from the block's linear qkv layer, which works with fused attention, too.

    Parameters
    ----------
    model
        Built with the argument ``dynamic_img_size: true`` if H or W are not its own input size:
        timm then interpolates the position embeddings.
    inputs : Tensor of shape (B, 3, H, W)
    centre
        Subtract the mean key of each image. TokenCut and MaskCut do not. Keys of networks other
        than DINO may share a large offset that makes them nearly identical.

    Returns
    -------
    Tensor of shape (B, h, w, d), float32
        One key per patch token, class and register tokens dropped.
    """
    blocks = [*getattr(model, "blocks", ())]
    attention = getattr(blocks[-1], "attn", None) if blocks else None
    if not isinstance(getattr(attention, "qkv", None), nn.Linear):
        raise InputError(
            f"keys of tokens need attention blocks, which {type(model).__name__} lacks; choose a "
            "`vit_*` architecture, or name one as `network` of the view or segmenter."
        )
    for side, patch in zip(inputs.shape[-2:], model.patch_embed.patch_size, strict=True):
        if side % patch:
            raise InputError(
                f"an input of {side} px must be a multiple of the patch size, {patch} px; set "
                f"`input_size` to {max(1, round(side / patch)) * patch}."
            )
    captured = []
    hook = attention.qkv.register_forward_hook(lambda module, args, output: captured.append(output))
    try:
        model.forward_features(inputs)
    finally:
        hook.remove()
    _, keys, _ = captured[0].float().chunk(3, dim=-1)
    h, w = model.patch_embed.dynamic_feat_size(inputs.shape[-2:])
    keys = keys[:, model.num_prefix_tokens :]
    if centre:
        keys = keys - keys.mean(dim=1, keepdim=True)
    return keys.unflatten(1, (h, w))
