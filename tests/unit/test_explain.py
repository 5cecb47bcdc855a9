"""Integrated Gradients against closed forms and Captum, and the keys that maps are fused with."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from captum.attr import IntegratedGradients, NoiseTunnel
from torch import nn

from segxai.explain import removal
from segxai.explain.nodes import KNEES, path_nodes
from segxai.explain.stream import Attribution, Request, completeness_error
from segxai.explain.target import Label
from segxai.explainers import captum_integrated_gradients, integrated_gradients
from segxai.networks.keys import key_features
from segxai.views.components import first_component
from tests.unit.toy_networks import frozen, generator, images

NOISE = {"noise_samples": 5, "noise_std": 0.1, "fill": "black"}
SETTINGS = {"steps": 6, **NOISE, "probe": 8, "tolerance": None, "max_steps": 64, "batch_size": 40}
CAPTUM = {"steps": 50, **NOISE, "batch_size": 50}
BOTH = pytest.mark.parametrize("method", [integrated_gradients, captum_integrated_gradients])


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


def image(seed: int, size: int = 32) -> torch.Tensor:
    """Make one random input (3, size, size)."""
    return images(1, seed, size)[0]


def attribute(network, x, noise_seed=0, target=0, method=integrated_gradients, **changed):
    """Attribution of one image."""
    settings = {**(SETTINGS if method is integrated_gradients else CAPTUM), **changed}
    request = Request(x, Label(target), generator(noise_seed))
    (attribution,) = method.explain(network, [request], **settings)
    return attribution


@BOTH
def test_linear_score_is_attributed_in_closed_form(method):
    """For F(x) = w·x an image gets w (x + mean noise − x′), and that sums to the gain.

    The mean over copies is weighted in our engine, which gives each copy its own nodes: the noise
    counts by these weights, and the rest is exact with one node.
    """
    weights, x = image(1, size=8), image(2, size=8)
    network = frozen(lambda v: (v * weights).sum(dim=(1, 2, 3)), 8, black=-1.0)
    noise = torch.randn(5, 3, 8, 8, generator=generator(3)) * 0.1
    share = torch.full((5,), 0.2)
    if method is integrated_gradients:
        nodes = path_nodes(1, 5, knee=float(KNEES[-1]))
        share = torch.tensor(nodes.weights).float()[np.argsort(nodes.copies)]
    attribution = attribute(network, x, 3, method=method, steps=1)
    mean_noise = (share.view(-1, 1, 1, 1) * noise).sum(dim=0)
    torch.testing.assert_close(attribution.values, weights * (x + mean_noise + 1))
    gain = (weights * (x + noise.mean(dim=0) + 1)).sum().item()
    assert attribution.gain == pytest.approx(gain, rel=1e-5)
    assert attribution.gradients == 5


@BOTH
@pytest.mark.parametrize("fill", ["black", "mean", "blur"])
def test_paths_begin_at_the_fill(vit, method, fill):
    """For F = w·x an image gets w (x − fill) to the digit, and a ViT's maps sum to F(x) − F(fill).

    Images of one batch have each their own fill.
    """
    weights, x = image(1, size=8), [image(seed, size=8) for seed in (2, 3)]
    network = frozen(lambda v: (v * weights).sum(dim=(1, 2, 3)), 8, black=-1.0)
    settings = (SETTINGS if method is integrated_gradients else CAPTUM) | {"noise_std": 0.0}
    requests = [Request(own, Label(0), generator()) for own in x]
    maps = method.explain(network, requests, **settings | {"fill": fill})
    for own, found in zip(x, maps, strict=True):
        start = removal.fill(network, own[None], fill)[0]
        torch.testing.assert_close(found.values, weights * (own - start), rtol=1e-4, atol=1e-5)
    own, network = image(7), frozen(vit, black=-1.5)
    found = attribute(network, own, method=method, fill=fill, noise_std=0.0, steps=60)
    start = removal.fill(network, own[None], fill)
    gain = (vit(own[None])[0, 0] - vit(start)[0, 0]).item()
    assert found.gain == pytest.approx(gain, rel=1e-3)
    assert found.completeness_error < 0.01


def test_path_integral_in_closed_form():
    """For F(x) = Σ c (s(b + w·x) + (w·x)³) the attribution is c ΔF w_i x_i / w·x, from x′ = 0."""
    w, x = torch.randn(2, 3, 6, 6, generator=generator(4)).double()
    reach = (w * x).sum()
    for c in (1.0, -2.0):

        def score(v, c=c):
            product = (v * w).sum(dim=(1, 2, 3))
            return c * ((8 * product / reach - 2).sigmoid() + product**3 / reach**3)

        gain = c * (torch.tensor([6.0, -2.0]).sigmoid().diff().neg().item() + 1)
        attribution = attribute(frozen(score, 6, black=0.0), x, noise_std=0.0, steps=40)
        torch.testing.assert_close(attribution.values, gain * w * x / reach, rtol=1e-3, atol=1e-6)
        assert attribution.gain == pytest.approx(gain, rel=1e-6)


def test_captum_engine_equals_captums_noise_tunnel_on_the_same_noise(vit, monkeypatch):
    """Captum's NoiseTunnel over IntegratedGradients gives the same map when fed the same noise."""
    x = images(1, 5)
    black = torch.full_like(x, -1.5)
    noise = torch.randn(5, 3, 32, 32, generator=generator(6)) * 0.1
    monkeypatch.setattr(torch, "normal", lambda mean, std: noise.to(std) + mean)
    expected = NoiseTunnel(IntegratedGradients(lambda v: vit(v)[:, 1])).attribute(
        x, nt_type="smoothgrad", nt_samples=5, stdevs=0.1, baselines=black, n_steps=20
    )
    network = frozen(vit, black=-1.5)
    attribution = attribute(network, x[0], 6, 1, captum_integrated_gradients, steps=20)
    torch.testing.assert_close(attribution.values, expected[0].float(), rtol=1e-4, atol=1e-6)


def test_many_nodes_equal_captums_many_steps(vit):
    """Both engines tend to the same map, for each class, on the same noise."""
    x, network = image(7), frozen(vit, black=-1.5)
    for target in (0, 1):
        ours = attribute(network, x, 8, target, steps=400)
        captum = attribute(network, x, 8, target, captum_integrated_gradients, steps=100)
        scale = captum.values.abs().max().item()
        # Copies are weighted by their cells: their noise itself remains.
        torch.testing.assert_close(ours.values, captum.values, rtol=0, atol=2e-3 * scale)
        assert ours.gain == pytest.approx(captum.gain, rel=1e-5)


def test_maps_depend_on_neither_batch_size_nor_order_nor_company(vit):
    """Batch size, order and other images of other classes move maps by rounding at most."""
    asked = {
        name: (image(seed), Label(seed % 2))
        for name, seed in (("a", 11), ("b", 12), ("c", 13), ("d", 14))
    }

    def maps(names, batch_size):
        requests = (Request(*asked[name], generator(ord(name))) for name in names)
        settings = {**SETTINGS, "batch_size": batch_size, "tolerance": 0.02}
        attributions = integrated_gradients.explain(frozen(vit), requests, **settings)
        return dict(zip(names, attributions, strict=True))

    base = maps("abcd", 40)
    assert len({attribution.gradients for attribution in base.values()}) > 1
    for names, batch_size in (("abcd", 1), ("dbca", 7), ("cd", 64), ("b", 40)):
        for name, attribution in maps(names, batch_size).items():
            scale = base[name].values.abs().max().item()
            torch.testing.assert_close(
                attribution.values,
                base[name].values,
                rtol=0,
                atol=1e-5 * scale,
                msg=f"{names} {name}",
            )
            assert attribution.gain == pytest.approx(base[name].gain, rel=1e-5)
            assert attribution.gradients == base[name].gradients


@BOTH
def test_passes_and_completeness_are_recorded(vit, method):
    """Counted passes are those of the network; the error is that of an independent sum."""
    x, seen = image(17), {True: 0, False: 0}

    def score(v):
        seen[v.requires_grad] += len(v)
        return vit(v)[:, 1]

    attribution = attribute(frozen(score), x, 18, method=method, batch_size=7)
    # The last batch is filled up.
    assert attribution.gradients <= seen[True] < attribution.gradients + 7
    assert attribution.forwards <= seen[False] < attribution.forwards + 7
    noisy = x + 0.1 * torch.randn(5, 3, 32, 32, generator=generator(18))
    black = torch.full((1, 3, 32, 32), -2.0)
    gain = (vit(noisy)[:, 1].mean() - vit(black)[0, 1]).item()
    assert attribution.gain == pytest.approx(gain, rel=1e-4)
    error = abs(attribution.values.numpy().astype(np.float64).sum() - gain) / abs(gain)
    assert attribution.completeness_error == pytest.approx(error, abs=1e-4)


def test_tolerance_spends_steps_only_where_needed(vit):
    """Each image stops at the first doubling that is complete enough, or before `max_steps`."""

    def run(tolerance, max_steps):
        fresh = (Request(image(seed), Label(0), generator(seed)) for seed in range(20, 26))
        settings = {**SETTINGS, "steps": 1, "tolerance": tolerance, "max_steps": max_steps}
        return [*integrated_gradients.explain(frozen(vit), fresh, **settings)]

    plain, bounded = run(None, 64), run(0.05, 8)
    # Completeness after each doubling: none is complete enough, up to max_steps.
    steps = [run(0.0, most) for most in (1, 2, 4, 8)]
    assert {attribution.gradients for attribution in plain} == {5}
    for place, attribution in enumerate(bounded):
        errors = [level[place].completeness_error for level in steps]
        first = next((i for i, error in enumerate(errors) if error <= 0.05), 3)
        assert attribution.gradients == 5 * 2**first
        torch.testing.assert_close(
            attribution.values, steps[first][place].values, rtol=0, atol=1e-6
        )
    assert len({attribution.gradients for attribution in bounded}) > 1


def test_doubled_steps_are_the_finer_rule(vit):
    """Two levels put nodes halfway between nodes; four times the steps err far less than one."""
    few, many = (
        np.mean(
            [
                attribute(
                    frozen(vit), image(seed), seed, steps=2, tolerance=0.0, max_steps=most
                ).completeness_error
                for seed in range(30, 36)
            ]
        )
        for most in (2, 8)
    )
    assert many < few / 2


def test_nothing_is_kept_of_parameters_or_requests():
    """Parameters get no gradients even where they ask for them, and inputs stay as they were."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    network = replace(frozen(lambda v: v, 8), module=model)
    x = image(40, size=8)
    before = x.clone()
    attribution = attribute(network, x)
    assert all(
        parameter.requires_grad and parameter.grad is None for parameter in model.parameters()
    )
    assert not attribution.values.requires_grad
    assert torch.equal(x, before)


def test_images_are_read_when_batches_need_them():
    """Of a long stream only the images that fill the next batch are taken, and results flow."""
    taken = []

    def requests():
        for seed in range(50):
            taken.append(seed)
            yield Request(image(seed, size=8), Label(0), generator(seed))

    network = frozen(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), 8)
    attributions = integrated_gradients.explain(network, requests(), **SETTINGS)
    assert isinstance(next(attributions), Attribution)
    assert len(taken) == 2
    assert len([*attributions]) == 49


def test_completeness_error_is_undefined_without_gain():
    """An image that scores like the baseline has no relative error."""
    assert np.isnan(completeness_error(torch.ones(3, 2, 2), 0.0))
    assert completeness_error(torch.full((3, 2, 2), 0.5), 3.0) == pytest.approx(1.0)


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
