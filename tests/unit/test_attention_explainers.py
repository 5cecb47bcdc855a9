"""Attention rollout and Chefer's relevance of transformers made by hand and of timm."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from segxai.explain.stream import Request
from segxai.explain.target import Label
from segxai.explainers import attention_rollout, chefer
from segxai.job.log import InputError
from tests.unit.toy_networks import Failing, frozen, generator, images, timm_network

BOTH = pytest.mark.parametrize("method", [attention_rollout, chefer])
VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}


class Layer(nn.Module):
    """Attention of given weights (heads, N, N): it adds to each token what it takes of the others.

    Nothing asks for it when fused.
    """

    def __init__(self, weights: torch.Tensor):
        super().__init__()
        self.weights, self.fused_attn, self.attn_drop = weights, True, nn.Identity()

    def forward(self, x):
        assert not self.fused_attn
        weights = self.weights.expand(len(x), -1, -1, -1) + 0 * x.sum()
        return x + (self.attn_drop(weights) @ x[:, None]).mean(dim=1)


class Tokens(nn.Module):
    """A transformer of four patches of 4 px and a class token of 1, whose logits are its tokens.

    timm's interface as far as attention is read.
    """

    def __init__(self, *weights: torch.Tensor, pool: str = "token"):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Module() for _ in weights)
        for block, each in zip(self.blocks, weights, strict=True):
            block.attn = Layer(each)
        self.num_prefix_tokens, self.global_pool = 1, pool
        self.patch_embed = nn.Module()
        self.patch_embed.dynamic_feat_size = lambda size: (size[0] // 4, size[1] // 4)

    def forward(self, x):
        patches = F.avg_pool2d(x, 4).mean(dim=1).flatten(1)[..., None]
        tokens = torch.cat([torch.ones_like(patches[:, :1]), patches], dim=1)
        for block in self.blocks:
            tokens = block.attn(tokens)
        pooled = tokens[:, 0] if self.global_pool == "token" else tokens[:, 1:].mean(dim=1)
        return torch.cat([pooled, -2 * pooled], dim=1)


def attention(seed: int, heads: int = 2) -> torch.Tensor:
    """Draw attention weights (heads, 5, 5) whose rows sum to 1."""
    return torch.randn(heads, 5, 5, generator=generator(seed)).softmax(dim=-1)


def maps(method, network, x, target=0, batch_size=3) -> torch.Tensor:
    """Maps (n, 1, H, W) of inputs for one label."""
    requests = [Request(each, Label(target), generator()) for each in x]
    return torch.stack([found.values for found in method.explain(network, requests, batch_size)])


def upsampled(patches: torch.Tensor) -> torch.Tensor:
    """Map (1, 8, 8) of the relevance (4,) of patches."""
    return F.interpolate(patches.view(1, 1, 2, 2), (8, 8), mode="bilinear")[0]


def test_rollout_of_two_layers_by_hand():
    """R = ½(A₂ + I) ½(A₁ + I), of means over heads; its rows sum to 1."""
    first, second = attention(1), attention(2)
    one, two = ((weights.mean(dim=0) + torch.eye(5)) / 2 for weights in (first, second))
    rollout = two @ one
    assert rollout.sum(dim=1).tolist() == pytest.approx([1.0] * 5)
    for pool, row in (("token", rollout[0]), ("avg", rollout[1:].mean(dim=0))):
        network = frozen(Tokens(first, second, pool=pool), 8)
        found = maps(attention_rollout, network, images(2, 3, 8))
        torch.testing.assert_close(found, upsampled(row[1:]).expand(2, 1, 8, 8))


def test_rollout_of_identity_attention_is_uniform():
    """Where each token attends to itself alone, no patch stands out."""
    network = frozen(Tokens(torch.eye(5).expand(2, 5, 5)), 8)
    assert maps(attention_rollout, network, images(1, 4, 8)).unique().numel() == 1


def test_rollout_knows_no_class():
    """It is the same for every target: a control."""
    network, x = frozen(timm_network("vit_tiny_patch16_224", 4, arguments=VIT)), images(2, 5)
    torch.testing.assert_close(
        maps(attention_rollout, network, x, 0), maps(attention_rollout, network, x, 3)
    )


@pytest.mark.parametrize("target", [0, 1])
def test_chefer_of_one_layer_by_hand(target):
    """F = s (1 + mean over heads of A₀ · t), so R₀ᵢ is the mean over heads of (s A₀ᵢ tᵢ / H)⁺."""
    weights, x = attention(6), images(1, 7, 8)
    found = maps(chefer, frozen(Tokens(weights), 8), x, target)[0]
    tokens = F.avg_pool2d(x, 4).mean(dim=1).flatten()
    expected = ([1, -2][target] * weights[:, 0, 1:] * tokens / 2).relu().mean(dim=0)
    assert 0 < (expected > 0).sum() < 4
    torch.testing.assert_close(found, upsampled(expected))


def test_chefer_of_two_layers_by_hand():
    """R = (I + Ā₂)(I + Ā₁), with gradients by finite differences of the weights."""
    weights, x = [attention(8).double(), attention(9).double()], images(1, 10, 8).double()

    def score(*changed) -> float:
        network = Tokens(*changed)
        for block in network.blocks:
            block.attn.fused_attn = False
        return network(x)[0, 1].item()

    expected, step = torch.eye(5).double(), 1e-5
    for place, own in enumerate(weights):
        slopes = torch.zeros_like(own)
        for index in torch.cartesian_prod(*(torch.arange(n) for n in own.shape)):
            moved = [each.clone() for each in weights]
            moved[place][tuple(index)] += step
            slopes[tuple(index)] = (score(*moved) - score(*weights)) / step
        expected = expected + (slopes * own).relu().mean(dim=0) @ expected
    single = Tokens(*(own.float() for own in weights))
    found = maps(chefer, frozen(single, 8), x.float(), 1)[0]
    torch.testing.assert_close(found, upsampled(expected[0, 1:].float()), rtol=1e-3, atol=1e-5)


def test_attention_weights_are_those_of_timm():
    """Rollout of a ViT equals the product of softmax(q kᵀ / √d), read from its projections."""
    module, x = timm_network("vit_tiny_patch16_224", 4, arguments=VIT), images(1, 11)
    network, rollout = frozen(module), torch.eye(17)
    read = []
    hooks = [
        block.attn.qkv.register_forward_hook(lambda *a: read.append(a[2]))
        for block in module.blocks
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    for qkv in read:
        q, k, _ = qkv[0].reshape(17, 3, 3, 16).permute(1, 2, 0, 3)
        weights = (q @ k.transpose(-2, -1) / 4).softmax(dim=-1).mean(dim=0)
        rollout = (weights + torch.eye(17)) / 2 @ rollout
    patches = rollout[0, 1:].view(1, 1, 4, 4)
    expected = F.interpolate(patches, (32, 32), mode="bilinear")
    torch.testing.assert_close(maps(attention_rollout, network, x), expected)


@BOTH
def test_passes_are_counted(method):
    """One forward pass of rollout, one forward-backward pass of Chefer."""
    network = frozen(Tokens(attention(12)), 8)
    (found,) = method.explain(network, [Request(images(1, 13, 8)[0], Label(0), generator())], 1)
    assert (found.gradients, found.forwards) == ((0, 1) if method is attention_rollout else (1, 0))


@BOTH
@pytest.mark.parametrize("breaks", [False, True])
def test_the_network_stays_as_it_was(method, breaks):
    """Fused attention is on again, hooks are gone, logits the same; also after a failure."""
    module = timm_network("vit_tiny_patch16_224", 4, arguments=VIT)
    network, x = frozen(Failing(module, 0 if breaks else 9)), images(2, 14)
    before, fused = module(x), [block.attn.fused_attn for block in module.blocks]
    if breaks:
        with pytest.raises(RuntimeError, match="broken"):
            maps(method, network, x)
    else:
        maps(method, network, x)
    assert [block.attn.fused_attn for block in module.blocks] == fused
    assert not any(part._forward_hooks for part in module.modules())
    torch.testing.assert_close(module(x), before, rtol=0, atol=0)


@BOTH
@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("resnet10t", {}),
        ("efficientnet_b0", {}),
        (
            "swin_tiny_patch4_window7_224",
            {"img_size": 32, "window_size": 1, "depths": [1, 1, 1, 1]},
        ),
        ("vit_tiny_patch16_224", VIT | {"global_pool": "map", "class_token": False}),
    ],
)
def test_networks_without_readable_attention_are_refused(method, architecture, arguments):
    """No blocks of attention, or a head that pools by attention of its own."""
    network = frozen(timm_network(architecture, arguments=arguments))
    name = method.__name__.rpartition(".")[2]
    with pytest.raises(InputError, match=f"explainers: {name} needs .* choose a plain vision"):
        method.check(network)


@BOTH
@pytest.mark.parametrize("pool", ["token", "avg"])
def test_vision_transformers_are_admitted(method, pool):
    """With a class token, or the mean of patches."""
    arguments = VIT | {"global_pool": pool}
    method.check(frozen(timm_network("vit_tiny_patch16_224", arguments=arguments)))
