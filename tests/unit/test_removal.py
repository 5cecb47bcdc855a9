"""What removed parts of an input are replaced by, and tokens that are left out."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from timm.models.vision_transformer import VisionTransformer

from segxai.explain.removal import (
    BLUR,
    check_tokens,
    fill,
    kept_scores,
    kept_tokens,
    mix,
    token_scores,
)
from segxai.explain.stream import Request, scores
from segxai.explain.target import Label
from segxai.job.log import InputError
from segxai.networks.network import Network
from tests.unit.toy_networks import frozen, generator, images, timm_network, unet

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 3}


def vit(**changed) -> Network:
    """Give a small ViT of 4 × 4 tokens."""
    return frozen(timm_network("vit_tiny_patch16_224", 4, arguments=VIT | changed))


def test_fills_are_black_the_mean_and_a_blur():
    """Black is that of the network, the mean zero, and the blur SciPy's away from the border."""
    network, x = frozen(lambda v: v.mean(dim=(1, 2, 3)), size=64), images(2, 1, 64)
    assert torch.equal(fill(network, x, "black"), torch.full_like(x, -2.0))
    assert not fill(network, x, "mean").any()
    expected = gaussian_filter(x.numpy(), 64 * BLUR, axes=(2, 3), truncate=8)
    found = fill(network, x, "blur").numpy()
    np.testing.assert_allclose(found[..., 24:40, 24:40], expected[..., 24:40, 24:40], atol=1e-5)
    wider = fill(network, x, "blur", sigma=5.0).numpy()
    assert wider.std() < found.std()
    with pytest.raises(ValueError, match="white"):
        fill(network, x, "white")


def test_values_of_validation_images_are_means_over_them():
    """Each mask with each image, however passes are filled; all kept is the image itself."""
    network, background = frozen(lambda v: v.square().mean(dim=(1, 2, 3))), images(3, 8)
    x, masks = images(1, 9)[0], images(5, 10)[:, 0] > 0
    masks[0] = True
    request = Request(x, Label(0), generator())
    for size in (2, 16):
        found = kept_scores(network, request, "validation", masks, size, background)
        expected = [
            torch.where(mask, x, background).square().mean(dim=(1, 2, 3)).mean() for mask in masks
        ]
        torch.testing.assert_close(found.float(), torch.stack(expected))
    assert found[0] == pytest.approx(x.square().mean().item(), rel=1e-5)


def test_a_blur_keeps_what_is_constant():
    """Also at the border: weights are renormalised."""
    x = torch.full((1, 1, 32, 32), 0.7)
    torch.testing.assert_close(fill(frozen(torch.nn.Identity()), x, "blur"), x)


def test_a_mix_is_exact_where_everything_or_nothing_is_kept():
    """To the last bit the input and the fill; halfway their mean."""
    x, filled = images(1, 2), images(1, 3)
    keep = torch.tensor([1.0, 0.0, 0.5])[:, None, None].expand(3, 32, 32)
    whole, none, half = mix(x, filled, keep)
    assert torch.equal(whole, x[0]) and torch.equal(none, filled[0])
    torch.testing.assert_close(half, (x[0] + filled[0]) / 2)
    assert torch.equal(mix(x, filled, keep[:1].bool())[0], x[0])


@pytest.mark.parametrize("changed", [{}, {"reg_tokens": 2}, {"dynamic_img_size": True}])
def test_leaving_out_nothing_is_the_plain_pass(changed):
    """Bit for bit, whether there are register tokens or positions that are interpolated."""
    network, x, targets = vit(**changed), images(5, 4), [Label(i % 4) for i in range(5)]
    found = token_scores(network, x, torch.ones(5, 4, 4, dtype=torch.bool), targets, 3)
    assert torch.equal(found, scores(network, x, targets, 3))


def test_tokens_left_out_are_those_that_attention_does_not_see():
    """The same values as with all tokens and a mask that hides some from attention.

    Inputs that keep 0, 5 or all of 16 tokens come in one call, in any order.
    """
    network, x = vit(), images(6, 5)
    order = torch.stack([torch.randperm(16, generator=generator(i)) for i in range(6)])
    keep = order < torch.tensor([5, 16, 0, 5, 0, 5])[:, None]
    seen = torch.cat([torch.ones(6, 1, dtype=torch.bool), keep], dim=1)
    hidden = torch.zeros(6, 1, 1, 17).masked_fill(~seen[:, None, None], float("-inf"))
    with torch.no_grad():
        expected = network.module(x, attn_mask=hidden.expand(6, 1, 17, 17))[:, 1]
    found = token_scores(network, x, keep.view(6, 4, 4), [Label(1)] * 6, 2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    # The transformer is left as it was.
    torch.testing.assert_close(scores(network, x, [Label(1)] * 6, 6), network.module(x)[:, 1])


def test_what_is_left_out_has_no_influence():
    """Pixels of a token that is left out may change as they like."""
    network, x = vit(), images(1, 6)
    pixels = torch.ones(1, 32, 32, dtype=torch.bool)
    pixels[:, 8:16, 16:32] = False
    keep = kept_tokens(network, pixels)
    assert keep.shape == (1, 4, 4) and not keep[0, 1, 2:].any() and keep.sum() == 14
    changed = torch.where(pixels[:, None], x, 5.0)
    values = [token_scores(network, each, keep, [Label(0)], 1) for each in (x, changed)]
    assert torch.equal(*values)


def test_masks_are_read_batch_by_batch():
    """No more masks are made than one pass takes, whatever their number."""
    made, seen = [], []

    def masks():
        for place in range(10):
            made.append(place)
            yield torch.ones(32, 32, dtype=torch.bool)

    def score(x):
        seen.append(len(made))
        return x.mean(dim=(1, 2, 3))

    request = Request(images(1, 7)[0], Label(0), generator())
    found = kept_scores(frozen(score), request, "black", masks(), 4)
    assert len(found) == 10 and seen == [4, 8, 10]


@pytest.mark.parametrize(
    "network",
    [
        lambda: frozen(timm_network("resnet10t")),
        lambda: frozen(unet()),
        lambda: vit(global_pool="avg", class_token=False),
        lambda: frozen(timm_network("beit_base_patch16_224", arguments={"depth": 1})),
    ],
)
def test_networks_whose_tokens_cannot_be_left_out_are_refused(network):
    """Convolutions, pooled tokens and relative positions: the sentence says who asks, and what."""
    with pytest.raises(InputError, match=r"this leaves out patch tokens.* such as vit_"):
        check_tokens(network(), "this")


def test_a_plain_vit_is_admitted():
    """Its class refuses nothing."""
    network = vit()
    assert isinstance(network.module, VisionTransformer)
    check_tokens(network, "this")
