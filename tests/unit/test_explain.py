"""Integrated Gradients against closed forms and Captum, and the relevance map made of them."""

import numpy as np
import pytest
import timm
import torch
from captum.attr import IntegratedGradients, NoiseTunnel
from torch import nn

from segxai.explain.integrated_gradients import completeness_error, integrated_gradients
from segxai.explain.relevance import relevance
from segxai.models.classifier import Classifier
from segxai.models.keys import first_component, key_features

SETTINGS = {"steps": 20, "noise_samples": 5, "noise_std": 0.1, "batch_size": 40}


def generator(seed: int = 0) -> torch.Generator:
    """Noise source of one image."""
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    """Return a frozen tiny ViT with random weights."""
    torch.manual_seed(0)
    model = timm.create_model(
        "vit_tiny_patch16_224",
        pretrained=False,
        num_classes=2,
        img_size=32,
        patch_size=8,
        embed_dim=48,
        depth=2,
        num_heads=3,
    )
    return model.eval().requires_grad_(False)


def test_linear_score_is_attributed_in_closed_form():
    """For F(x) = w·x the attribution is w (x + mean noise − x′), and sums to the gain."""
    weights = torch.randn(3, 8, 8, generator=generator(1))
    x, black = torch.randn(1, 3, 8, 8, generator=generator(2)), torch.full((1, 3, 8, 8), -1.0)
    attribution, gain = integrated_gradients(
        lambda v: (v * weights).sum(dim=(1, 2, 3)), x, black, generator(3), **SETTINGS
    )
    noise = torch.randn(5, 3, 8, 8, generator=generator(3)) * 0.1
    torch.testing.assert_close(attribution, weights * (x + noise.mean(dim=0) - black))
    assert completeness_error(attribution, gain) < 1e-5


def test_quadratic_score_without_noise():
    """For F(x) = Σ x² from x′ = 0 the attribution is x² (two nodes integrate it exactly)."""
    x = torch.randn(1, 3, 6, 6, generator=generator(4))
    attribution, gain = integrated_gradients(
        lambda v: (v**2).sum(dim=(1, 2, 3)),
        x,
        torch.zeros_like(x),
        generator(),
        steps=2,
        noise_samples=1,
        noise_std=0.0,
        batch_size=8,
    )
    torch.testing.assert_close(attribution, x**2)
    assert gain == pytest.approx((x**2).sum().item(), rel=1e-5)


def test_equals_captums_noise_tunnel_on_the_same_noise(vit, monkeypatch):
    """Captum's NoiseTunnel over IntegratedGradients gives the same map when fed the same noise."""
    x = torch.randn(1, 3, 32, 32, generator=generator(5))
    black = torch.full_like(x, -1.5)
    noise = torch.randn(5, 3, 32, 32, generator=generator(6)) * 0.1
    monkeypatch.setattr(torch, "normal", lambda mean, std: noise.to(std) + mean)
    expected = NoiseTunnel(IntegratedGradients(lambda v: vit(v)[:, 1])).attribute(
        x, nt_type="smoothgrad", nt_samples=5, stdevs=0.1, baselines=black, n_steps=20
    )
    attribution, _ = integrated_gradients(
        lambda v: vit(v)[:, 1], x, black, generator(6), **SETTINGS
    )
    torch.testing.assert_close(attribution, expected.float(), rtol=1e-4, atol=1e-6)


def test_map_depends_on_neither_batch_size_nor_other_windows(vit):
    """Another batch size moves the map by rounding only, and a window's map is its own."""
    x = torch.randn(1, 3, 32, 32, generator=generator(7))
    black = torch.zeros_like(x)

    def score(v):
        return vit(v)[:, 0]

    base, _ = integrated_gradients(score, x, black, generator(8), **SETTINGS)
    for batch_size in (5, 17, 100):
        other, _ = integrated_gradients(
            score, x, black, generator(8), **{**SETTINGS, "batch_size": batch_size}
        )
        torch.testing.assert_close(other, base, rtol=1e-4, atol=1e-7)
    pair, _ = integrated_gradients(score, torch.cat([x, x + 1]), black, generator(8), **SETTINGS)
    torch.testing.assert_close(pair[:1], base)


def test_more_steps_are_more_complete(vit):
    """The completeness error of a ViT falls with the nodes of the quadrature."""
    x = torch.randn(1, 3, 32, 32, generator=generator(9))
    errors = []
    for steps in (2, 64):
        attribution, gain = integrated_gradients(
            lambda v: vit(v)[:, 0],
            x,
            torch.full_like(x, -2.0),
            generator(),
            **{**SETTINGS, "steps": steps},
        )
        errors.append(completeness_error(attribution, gain))
    assert errors[1] < 0.01
    assert errors[1] < errors[0]


def test_completeness_error_is_undefined_without_gain():
    """An image that scores like the baseline has no relative error."""
    assert np.isnan(completeness_error(torch.ones(1, 3, 2, 2), 0.0))
    assert completeness_error(torch.full((1, 3, 2, 2), 0.5), 5.0) == pytest.approx(0.2)


def test_relevance_sums_magnitudes_and_joins_windows():
    """Signs do not cancel over channels, and windows land in row-major order."""
    attribution = torch.zeros(4, 3, 8, 8)
    attribution[1, 0, 2, 3], attribution[1, 1, 2, 3] = 2.0, -2.0
    attribution[2] = 0.25
    joined = relevance(attribution, 2, (16, 16))
    assert joined.max() == joined[2, 8 + 3] == 1
    np.testing.assert_allclose(joined[8:, :8], 0.75 / 4)
    assert not joined[:8, :8].any()


def test_zero_attribution_gives_a_zero_map():
    """A classifier that looks nowhere gives a map of zeros, not of NaN."""
    assert not relevance(torch.zeros(1, 3, 8, 8), 1, (32, 32)).any()


def test_keys_are_those_that_attention_multiplies(vit):
    """Key features equal k of the last block as its own attention computes it, fused or not."""
    x = torch.randn(2, 3, 32, 32, generator=generator(10))
    block = vit.blocks[-1]
    tokens = vit.patch_embed(x)
    tokens = vit.norm_pre(vit.patch_drop(vit._pos_embed(tokens)))
    for earlier in vit.blocks[:-1]:
        tokens = earlier(tokens)
    width = tokens.shape[-1]
    keys = block.attn.qkv(block.norm1(tokens))[..., width : 2 * width]
    torch.testing.assert_close(key_features(vit, x), keys[:, 1:].unflatten(1, (4, 4)))


def test_first_component_recovers_a_planted_direction():
    """Tokens on a line plus noise give their positions on it, up to sign, in 0…1."""
    rng = np.random.default_rng(0)
    positions = rng.random((6, 5))
    features = positions[..., None] * rng.normal(size=16) + 1e-6 * rng.normal(size=(6, 5, 16))
    component = first_component(features)
    expected = (positions - positions.min()) / np.ptp(positions)
    assert min(abs(component - expected).max(), abs(1 - component - expected).max()) < 1e-4


def test_score_is_the_logit_of_the_class(vit):
    """A classifier's score is its logit; bfloat16 stays within its precision of it."""
    classifier = Classifier(vit, 32, [0.5] * 3, [0.2] * 3, torch.device("cpu"))
    x = classifier.inputs(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8), 2)
    assert x.shape == (4, 3, 32, 32)
    exact = classifier.score(1)(x)
    torch.testing.assert_close(exact, vit(x)[:, 1])
    torch.testing.assert_close(classifier.score(1, "bfloat16")(x), exact, atol=0.03, rtol=0.05)
    torch.testing.assert_close(classifier.black(), torch.full((1, 3, 32, 32), -2.5))
