"""Integrated Gradients against closed forms and Captum, and the relevance map made of them."""

import numpy as np
import pytest
import timm
import torch
from captum.attr import IntegratedGradients, NoiseTunnel
from torch import nn

from segxai.explain.nodes import KNEES, path_nodes
from segxai.explain.stream import Attribution, Request, completeness_error
from segxai.explainers.captum_integrated_gradients import captum_gradients
from segxai.explainers.integrated_gradients import integrated_gradients
from segxai.networks.keys import key_features
from segxai.networks.network import Classifier
from segxai.views.components import first_component
from segxai.views.relevance import relevance

NOISE = {"noise_samples": 5, "noise_std": 0.1}
SETTINGS = {"steps": 6, **NOISE, "probe": 8, "tolerance": None, "max_steps": 64, "batch_size": 40}
CAPTUM = {"steps": 50, **NOISE, "batch_size": 50}


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


def inputs(seed: int, windows: int = 1, size: int = 32) -> torch.Tensor:
    """Make random windows of one image."""
    return torch.randn(windows, 3, size, size, generator=generator(seed))


def attribute(score, x, black, noise_seed=0, target=0, engine=integrated_gradients, **changed):
    """Attribution of one image."""
    settings = {**(SETTINGS if engine is integrated_gradients else CAPTUM), **changed}
    (found,) = engine(score, [Request(x, target, generator(noise_seed))], black, **settings)
    return found


def logits(model: nn.Module):
    """Scores of any class."""
    return lambda v, targets: model(v)[torch.arange(len(v)), targets]


@pytest.mark.parametrize("engine", [integrated_gradients, captum_gradients])
def test_linear_score_is_attributed_in_closed_form(engine):
    """For F(x) = w·x one window gets w (x + mean noise − x′), and that sums to the gain.

    The mean over copies is weighted in our engine, which gives each copy its own nodes: the noise
    counts by these weights, and the rest is exact with one node.
    """
    weights = torch.randn(3, 8, 8, generator=generator(1))
    x, black = inputs(2, size=8), torch.full((1, 3, 8, 8), -1.0)

    def score(v, targets):
        return (v * weights).sum(dim=(1, 2, 3))

    noise = torch.randn(5, 3, 8, 8, generator=generator(3)) * 0.1
    share = torch.full((5,), 0.2)
    if engine is integrated_gradients:
        nodes = path_nodes(1, 5, knee=float(KNEES[-1]))
        share = torch.tensor(nodes.weights).float()[np.argsort(nodes.copies)]
    found = attribute(score, x, black, 3, engine=engine, steps=1)
    mean_noise = (share.view(-1, 1, 1, 1) * noise).sum(dim=0)
    torch.testing.assert_close(found.values, weights * (x + mean_noise - black))
    gain = (weights * (x + noise.mean(dim=0) - black)).sum().item()
    assert found.gain == pytest.approx(gain, rel=1e-5)
    assert found.gradients == 5


def test_path_integral_in_closed_form():
    """For F(x) = Σ c (s(b + w·x) + (w·x)³) the attribution is c ΔF w_i x_i / w·x, from x′ = 0."""
    w, x = torch.randn(2, 3, 6, 6, generator=generator(4)).double()
    reach = (w * x).sum()
    for c in (1.0, -2.0):

        def score(v, targets, c=c):
            product = (v * w).sum(dim=(1, 2, 3))
            return c * ((8 * product / reach - 2).sigmoid() + product**3 / reach**3)

        gain = c * (torch.tensor([6.0, -2.0]).sigmoid().diff().neg().item() + 1)
        found = attribute(score, x[None], torch.zeros(1, 3, 6, 6).double(), noise_std=0.0, steps=40)
        torch.testing.assert_close(found.values[0], gain * w * x / reach, rtol=1e-3, atol=1e-6)
        assert found.gain == pytest.approx(gain, rel=1e-6)


def test_captum_engine_equals_captums_noise_tunnel_on_the_same_noise(vit, monkeypatch):
    """Captum's NoiseTunnel over IntegratedGradients gives the same map when fed the same noise."""
    x = inputs(5)
    black = torch.full_like(x, -1.5)
    noise = torch.randn(5, 3, 32, 32, generator=generator(6)) * 0.1
    monkeypatch.setattr(torch, "normal", lambda mean, std: noise.to(std) + mean)
    expected = NoiseTunnel(IntegratedGradients(lambda v: vit(v)[:, 1])).attribute(
        x, nt_type="smoothgrad", nt_samples=5, stdevs=0.1, baselines=black, n_steps=20
    )
    found = attribute(logits(vit), x, black, 6, 1, captum_gradients, steps=20)
    torch.testing.assert_close(found.values, expected.float(), rtol=1e-4, atol=1e-6)


def test_many_nodes_equal_captums_many_steps(vit):
    """Both engines tend to the same map, for each window and class, on the same noise."""
    x = inputs(7, windows=2)
    black = torch.full((1, 3, 32, 32), -1.5)
    for target in (0, 1):
        ours = attribute(logits(vit), x, black, 8, target, steps=400)
        captum = attribute(logits(vit), x, black, 8, target, captum_gradients, steps=100)
        scale = captum.values.abs().max().item()
        # Copies are weighted by their cells: their noise itself remains.
        torch.testing.assert_close(ours.values, captum.values, rtol=0, atol=2e-3 * scale)
        assert ours.gain == pytest.approx(captum.gain, rel=1e-5)


def test_maps_depend_on_neither_batch_size_nor_order_nor_company(vit):
    """Batch size, order and other images of other classes move maps by rounding at most."""
    images = {
        name: (inputs(seed, windows), seed % 2)
        for name, seed, windows in (("a", 11, 1), ("b", 12, 2), ("c", 13, 1), ("d", 14, 1))
    }
    black = torch.full((1, 3, 32, 32), -2.0)

    def maps(names, batch_size):
        requests = [Request(*images[name], generator(ord(name))) for name in names]
        settings = {**SETTINGS, "batch_size": batch_size, "tolerance": 0.02}
        found = integrated_gradients(logits(vit), iter(requests), black, **settings)
        return dict(zip(names, found, strict=True))

    base = maps("abcd", 40)
    assert len({each.gradients for each in base.values()}) > 1
    for names, batch_size in (("abcd", 1), ("dbca", 7), ("cd", 64), ("b", 40)):
        for name, found in maps(names, batch_size).items():
            scale = base[name].values.abs().max().item()
            torch.testing.assert_close(
                found.values, base[name].values, rtol=0, atol=1e-5 * scale, msg=f"{names} {name}"
            )
            assert found.gain == pytest.approx(base[name].gain, rel=1e-5)
            assert found.gradients == base[name].gradients


def test_windows_are_attributed_on_their_own(vit):
    """The first window's map is the same with and without a second window."""
    x, black = inputs(15, windows=2), torch.zeros(1, 3, 32, 32)
    both = attribute(logits(vit), x, black, 16)
    alone = attribute(logits(vit), x[:1], black, 16)
    torch.testing.assert_close(both.values[:1], alone.values, rtol=1e-4, atol=1e-7)


def test_passes_and_completeness_are_recorded(vit):
    """Counted passes are those that the network sees; the error is that of an independent sum."""
    x, black = inputs(17, windows=2), torch.full((1, 3, 32, 32), -2.0)
    seen = {True: 0, False: 0}

    def score(v, targets):
        seen[v.requires_grad] += len(v)
        return logits(vit)(v, targets)

    for engine in (integrated_gradients, captum_gradients):
        seen.update({True: 0, False: 0})
        found = attribute(score, x, black, 18, 1, engine, batch_size=7)
        # The last batch is filled up.
        assert found.gradients <= seen[True] < found.gradients + 7
        assert found.forwards <= seen[False] < found.forwards + 7
        draws = generator(18)
        noisy = [each + 0.1 * torch.randn(5, 3, 32, 32, generator=draws) for each in x]
        gain = sum((vit(copies)[:, 1].mean() - vit(black)[0, 1]).item() for copies in noisy)
        assert found.gain == pytest.approx(gain, rel=1e-4)
        error = abs(found.values.numpy().astype(np.float64).sum() - gain) / abs(gain)
        assert found.completeness_error == pytest.approx(error, abs=1e-4)


def test_tolerance_spends_steps_only_where_needed(vit):
    """Each image stops at the first doubling that is complete enough, or before `max_steps`."""
    black = torch.full((1, 3, 32, 32), -2.0)
    requests = [Request(inputs(seed), 0, generator(seed)) for seed in range(20, 26)]

    def run(tolerance, max_steps):
        fresh = [each._replace(generator=generator(20 + i)) for i, each in enumerate(requests)]
        settings = {**SETTINGS, "steps": 1, "tolerance": tolerance, "max_steps": max_steps}
        return [*integrated_gradients(logits(vit), fresh, black, **settings)]

    plain, bounded = run(None, 64), run(0.05, 8)
    # Completeness after each doubling: none is complete enough, up to max_steps.
    steps = [run(0.0, most) for most in (1, 2, 4, 8)]
    assert {each.gradients for each in plain} == {5}
    for image, found in enumerate(bounded):
        errors = [level[image].completeness_error for level in steps]
        first = next((i for i, error in enumerate(errors) if error <= 0.05), 3)
        assert found.gradients == 5 * 2**first
        torch.testing.assert_close(found.values, steps[first][image].values, rtol=0, atol=1e-6)
    assert len({each.gradients for each in bounded}) > 1


def test_doubled_steps_are_the_finer_rule(vit):
    """Two levels put nodes halfway between nodes; four times the steps err far less than one."""
    black = torch.full((1, 3, 32, 32), -2.0)
    few, many = (
        np.mean(
            [
                attribute(
                    logits(vit), inputs(seed), black, seed, steps=2, tolerance=0.0, max_steps=most
                ).completeness_error
                for seed in range(30, 36)
            ]
        )
        for most in (2, 8)
    )
    assert many < few / 2


def test_nothing_is_kept_of_parameters_or_requests(vit):
    """Parameters get no gradients even where they ask for them, and inputs stay as they were."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    x = inputs(40, size=8)
    before = x.clone()
    found = attribute(logits(model), x, torch.zeros(1, 3, 8, 8))
    assert all(each.grad is None for each in model.parameters())
    assert not found.values.requires_grad
    assert torch.equal(x, before)


def test_images_are_asked_for_as_batches_need_them(vit):
    """Of a long stream only the images that fill the next batch are taken, and results flow."""
    taken = []

    def requests():
        for seed in range(50):
            taken.append(seed)
            yield Request(inputs(seed, size=8), 0, generator(seed))

    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    found = integrated_gradients(logits(model), requests(), torch.zeros(1, 3, 8, 8), **SETTINGS)
    assert isinstance(next(found), Attribution)
    assert len(taken) == 2
    assert len([*found]) == 49


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
    ones = torch.ones(4, dtype=torch.long)
    exact = classifier.scores()(x, ones)
    torch.testing.assert_close(exact, vit(x)[:, 1])
    torch.testing.assert_close(classifier.scores("bfloat16")(x, ones), exact, atol=0.03, rtol=0.05)
    torch.testing.assert_close(classifier.black(), torch.full((1, 3, 32, 32), -2.5))
