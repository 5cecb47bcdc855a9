"""LRP against its equations on small networks, and what it conserves on large ones."""

from dataclasses import replace

import pytest
import torch
from timm.layers import LayerNorm2d
from timm.models.vision_transformer import Attention
from torch import nn
from torch.nn import functional as F

from segxai.explain.backward_rules import (
    EvenShares,
    FixedScale,
    PositiveContributions,
    Ratio,
    WeighedProjection,
)
from segxai.explain.stream import Request
from segxai.explain.target import Label, Region
from segxai.explainers import lrp
from segxai.job.log import InputError
from tests.unit.toy_networks import Failing, frozen, generator, images, timm_network, unet

VIT = {"img_size": 64, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}


def relevance(network, x, target=None, attention="cp", batch_size=4) -> list:
    """Attributions of inputs (n, C, H, W) for one target."""
    requests = [Request(each, target or Label(0), generator()) for each in x]
    return [*lrp.explain(network, requests, attention, batch_size)]


def trained(module: nn.Module, seed: int = 1) -> nn.Module:
    """Give batch norms statistics and weights as after a training."""
    drawn = generator(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor, low in (
                *((part.running_mean, -0.5), (part.bias, -0.5)),
                *((part.running_var, 0.5), (part.weight, 0.5)),
            ):
                tensor.data = low + torch.rand(tensor.shape, generator=drawn)
    return module


def test_epsilon_is_input_times_gradient_on_a_relu_network_without_biases():
    """Linear layers and ReLU alone: R = x ∘ ∂F/∂x, and Σ R = F."""
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(192, 20, bias=False), nn.ReLU(), nn.Linear(20, 3, bias=False)
    )
    network, x = frozen(module, 8), images(3, 1, 8)
    points = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(module(points)[:, 2].sum(), points)
    maps = relevance(network, x, Label(2))
    torch.testing.assert_close(torch.stack([own.values for own in maps]), x * slopes)
    assert [own.gain for own in maps] == pytest.approx(module(x)[:, 2].tolist(), rel=1e-4)
    assert all(own.completeness_error < 1e-4 for own in maps)


def test_rules_by_their_equations():
    """A flat and a z⁺ convolution, a ReLU and a linear layer, each as a matrix of contributions.

    R_i = Σ_j z_ij / Σ_k z_kj R_j with z_ij = 1[w_ij ≠ 0], (x_i w_ij)⁺ and x_i w_ij.
    """
    torch.manual_seed(2)
    first, second = nn.Conv2d(3, 4, 2, stride=2), nn.Conv2d(4, 5, 3, padding=1)
    module = nn.Sequential(first, second, nn.ReLU(), nn.Flatten(), nn.Linear(80, 2))
    network, x = frozen(module, 8), images(1, 2, 8)

    def contributions(layer, read) -> torch.Tensor:
        """w_ij x_i (outputs, inputs) of a layer without its bias."""
        slopes = torch.autograd.functional.jacobian(layer, read)
        return slopes.reshape(-1, read.numel()) * read.flatten()

    middle = first(x)
    rectified = second(middle).relu()
    last = contributions(lambda v: module[4](v.flatten(1))[:, 0], rectified)
    expected = last.flatten()
    positive = contributions(second, middle).clamp(min=0)
    expected = expected @ (positive / positive.sum(dim=1, keepdim=True))
    connected = (contributions(first, x) != 0).float()
    expected = expected @ (connected / connected.sum(dim=1, keepdim=True))
    (found,) = relevance(network, x)
    torch.testing.assert_close(found.values.flatten(), expected, rtol=1e-4, atol=1e-6)
    # The linear layer's bias alone keeps its share.
    kept = module[4].bias[0].item()
    assert found.values.sum().item() + kept == pytest.approx(found.gain, rel=1e-4)


class Joined(nn.Module):
    """A residual sum and a concatenation by hand, with batch norms and no bias in its head."""

    def __init__(self):
        super().__init__()
        pairs = ((3, 6), (6, 6), (12, 6))
        self.stem, self.left, self.right = (nn.Conv2d(*pair, 3, padding=1) for pair in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(6) for _ in range(3))
        self.head = nn.Linear(6, 4, bias=False)

    def forward(self, x):
        x = self.norms[0](self.stem(x)).relu()
        x = (x + self.norms[1](self.left(x))).relu()
        x = torch.cat([x, F.max_pool2d(x, 3, 1, 1)], dim=1)
        return self.head(self.norms[2](self.right(x)).relu().mean(dim=(2, 3)))


@pytest.mark.parametrize("architecture", ["joined", "resnet10t", "unet"])
def test_relevance_is_conserved(architecture):
    """Σ R = F through sums, concatenations, fused batch norms and pooling, biases included."""
    if architecture == "resnet10t":
        module = timm_network("resnet10t", 4)
        nn.init.zeros_(module.fc.bias)
    elif architecture == "unet":
        module = unet(outputs=2, width=16)
        nn.init.zeros_(module.head.bias)
    else:
        module = Joined()
    network, target = frozen(trained(module), 32), Label(3)
    if architecture == "unet":
        target = Region(1, images(1, 5)[0, 0] > 0)
    for found in relevance(network, images(2, 4), target):
        assert found.completeness_error < 1e-3
        assert (found.gradients, found.forwards) == (1, 0)


def test_the_heads_bias_keeps_its_share():
    """On timm's ResNet: Σ R + b = F."""
    module = trained(timm_network("resnet10t", 4))
    for found in relevance(frozen(module), images(2, 6), Label(1)):
        total = found.values.sum().item() + module.fc.bias[1].item()
        assert total == pytest.approx(found.gain, rel=1e-3)


def test_a_pixel_of_zero_gets_its_even_share():
    """The flat rule gives all pixels of a patch the same, whatever their values."""
    x = images(1, 7, 8)
    x[:, :, 0, 0] = 0.0
    module = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 1))
    (found,) = relevance(frozen(module, 8), x)
    patches = found.values.unfold(1, 4, 4).unfold(2, 4, 4)
    torch.testing.assert_close(patches, patches[:1, :, :, :1, :1].expand_as(patches))
    assert patches.abs().max() > 0


@pytest.mark.parametrize(
    "architecture",
    [
        *("resnet10t", "densenet121", "tf_efficientnet_lite0", "efficientnet_b0"),
        *("convnext_atto", "vit_tiny_patch16_224", "unet"),
    ],
)
def test_rules_leave_the_logits_as_they_are(architecture):
    """A network with all its rules and fused batch norms has the logits that it had."""
    arguments = VIT if architecture.startswith("vit") else {}
    module = unet() if architecture == "unet" else timm_network(architecture, arguments=arguments)
    network, x = frozen(trained(module), 64), images(2, 8, 64)
    lrp.check(network)
    before, logits = module(x), lrp.ruled_copy(network, "attn")(x)
    assert (logits - before).abs().max() <= 1e-4 * before.abs().max()
    torch.testing.assert_close(module(x), before, rtol=0, atol=0)


def test_batch_norms_are_fused_where_a_convolution_goes_before():
    """All of a ResNet; in a DenseNet those that read one convolution alone."""
    left = {}
    for architecture in ("resnet10t", "densenet121"):
        ruled = lrp.ruled_copy(frozen(timm_network(architecture)), "cp")
        left[architecture] = sum(isinstance(part, nn.BatchNorm2d) for part in ruled.modules())
    # Of 58 layers and 3 transitions the first norm, and the last one, read concatenations.
    assert left == {"resnet10t": 0, "densenet121": 62}


@pytest.mark.parametrize("activation", [nn.ReLU6(inplace=True), nn.GELU(), nn.SiLU()])
def test_an_activation_passes_on_what_it_gives_out(activation):
    """Input × gradient = activation(z), also where the plain gradient is 0 (ReLU6 above 6)."""
    z = torch.linspace(-4, 9, 40).requires_grad_()
    output = Ratio(activation)(z)
    (slopes,) = torch.autograd.grad(output.sum(), z)
    expected = activation(z.detach().clone())
    torch.testing.assert_close(output.detach(), expected, rtol=0, atol=0)
    torch.testing.assert_close(z.detach() * slopes, expected)


@pytest.mark.parametrize(
    ("norm", "axis", "shape"), [(nn.LayerNorm(6), -1, (2, 5, 6)), (LayerNorm2d(6), 1, (2, 6, 3, 4))]
)
def test_layer_norm_holds_its_standard_deviation_constant(norm, axis, shape):
    """Gradients of (x − mean) / constant · w + b; values as of the layer, to the last bit."""
    x = torch.randn(shape, generator=generator(9)).requires_grad_()
    norm.weight.data = torch.randn(6, generator=generator(10))
    weights = torch.randn(shape, generator=generator(11))
    output = FixedScale(norm, axis)(x)
    torch.testing.assert_close(output, norm(x), rtol=0, atol=0)
    (slopes,) = torch.autograd.grad((output * weights).sum(), x)
    std = (x.var(dim=axis, keepdim=True, correction=0) + norm.eps).sqrt().detach()
    scale = norm.weight.view(-1, *[1] * (x.ndim - 2)) if axis == 1 else norm.weight
    by_hand = ((x - x.mean(dim=axis, keepdim=True)) / std * scale * weights).sum()
    torch.testing.assert_close(slopes, torch.autograd.grad(by_hand, x)[0])


def _half(x: torch.Tensor) -> torch.Tensor:
    return x / 2 + x.detach() / 2


@pytest.mark.parametrize("attention", ["cp", "attn"])
def test_attention_by_hand(attention):
    """CP-LRP: gradients of A·v with A constant. AttnLRP: both products halve both gradients."""
    layer = Attention(12, num_heads=2, qkv_bias=True).eval().requires_grad_(False)
    x = torch.randn(2, 5, 12, generator=generator(12)).requires_grad_()
    weights = torch.randn(2, 5, 12, generator=generator(13))
    q, k, v = layer.qkv(x).reshape(2, 5, 3, 2, 6).permute(2, 0, 3, 1, 4)
    if attention == "cp":
        mixed = (q @ k.transpose(-2, -1) * 6**-0.5).softmax(dim=-1).detach() @ v
    else:
        weight = (_half(q) @ _half(k).transpose(-2, -1) * 6**-0.5).softmax(dim=-1)
        mixed = _half(weight) @ _half(v)
    by_hand = (layer.proj(mixed.transpose(1, 2).reshape(2, 5, 12)) * weights).sum()
    (expected,) = torch.autograd.grad(by_hand, x)
    layer.qkv = WeighedProjection(layer.qkv, lrp.PROJECTIONS[attention])
    (slopes,) = torch.autograd.grad((layer(x) * weights).sum(), x)
    torch.testing.assert_close(slopes, expected, rtol=1e-4, atol=1e-6)


def test_a_vision_transformer_conserves_up_to_its_embeddings():
    """CP-LRP without biases, class token and position embeddings: Σ R = F."""
    module = timm_network("vit_tiny_patch16_224", 4, arguments=VIT | {"global_pool": "avg"})
    for name, parameter in module.named_parameters():
        if name.endswith("bias") or name in ("cls_token", "pos_embed"):
            nn.init.zeros_(parameter)
    network = frozen(module, 64)
    lrp.check(network)
    for found in relevance(network, images(2, 14, 64), Label(2)):
        assert found.completeness_error < 1e-3


def test_convolutions_keep_their_values():
    """z⁺ and flat, to the last bit, with groups, strides and a transposed convolution."""
    x = images(2, 15, 8)
    grouped = nn.Conv2d(3, 6, 3, stride=2, groups=3)
    for convolution in (grouped, nn.ConvTranspose2d(3, 4, 2, stride=2)):
        for rule in (PositiveContributions, EvenShares):
            torch.testing.assert_close(rule(convolution)(x), convolution(x), rtol=0, atol=0)


SMALL = {"img_size": 64, "embed_dim": 24}


@pytest.mark.parametrize(
    ("architecture", "problem", "arguments"),
    [
        (
            "swin_tiny_patch4_window7_224",
            "Softmax",
            SMALL | {"window_size": 2, "depths": [1, 1, 1, 1]},
        ),
        ("beit_base_patch16_224", "Attention", SMALL | {"depth": 1, "num_heads": 3}),
    ],
)
def test_networks_with_unknown_parts_are_refused(architecture, problem, arguments):
    """A part without a rule, or with weights that are read past it, is named, and what suits."""
    network = frozen(timm_network(architecture, arguments=arguments), 64)
    with pytest.raises(InputError, match=f"lrp has no rule for .*{problem}.* choose an arch"):
        lrp.check(network)


def test_reduced_precision_changes_nothing():
    """Rules divide, so that all is computed in float32 whatever the precision asked for."""
    network, x = frozen(timm_network("resnet10t", 4)), images(2, 16)
    exact = relevance(network, x)
    other = relevance(replace(network, precision="bfloat16"), x)
    for ours, reduced in zip(exact, other, strict=True):
        torch.testing.assert_close(reduced.values, ours.values, rtol=0, atol=0)


@pytest.mark.parametrize("at", [1, 2])
def test_the_network_stays_as_it_was(at):
    """Logits, parts and hooks are the same after a pass that fails, of the rules or before them."""
    module = timm_network("resnet10t", 4)
    network, x = frozen(Failing(module, at - 1)), images(3, 12)
    before, parts = module(x), dict(module.named_modules())
    with pytest.raises(RuntimeError, match="broken"):
        relevance(network, x, batch_size=1)
    torch.testing.assert_close(module(x), before, rtol=0, atol=0)
    assert dict(module.named_modules()) == parts
    assert not any(part._forward_hooks or part._backward_hooks for part in module.modules())
