"""Explainers by gradients against closed forms, Captum, and networks made by hand."""

import numpy as np
import pytest
import torch
from captum.attr import DeepLiftShap, GuidedBackprop
from torch import nn

from segxai.explain.removal import blurred
from segxai.explain.removal import fill as fill_of
from segxai.explain.stream import Request
from segxai.explain.target import Label
from segxai.explainers import (
    deep_lift_shap,
    gradient,
    guided_backprop,
    input_x_gradient,
    smooth_gradient,
)
from segxai.job.log import InputError
from segxai.networks.network import build_network
from segxai.workflow.plugins import about
from tests.unit.toy_networks import FRESH, Failing, frozen, generator, images, timm_network, unet


def attribute(method, network, x, target=0, **settings):
    """Attributions of inputs (n, C, H, W) for one label; settings not named are defaults."""
    known = about("explainers", method.__name__.rpartition(".")[2])["settings"]
    settings = {name: setting["default"] for name, setting in known.items()} | settings
    requests = [Request(each, Label(target), generator(7)) for each in x]
    return [*method.explain(network, requests, **settings)]


def values(*asked, **settings) -> torch.Tensor:
    """Values (n, C, H, W) of attributions."""
    return torch.stack([found.values for found in attribute(*asked, **settings)])


class Layers(nn.Sequential):
    """Layers whose last output is averaged to one logit."""

    def forward(self, x):
        """Logits (B, 1)."""
        return super().forward(x).flatten(1).mean(dim=1, keepdim=True)


def test_gradients_of_a_linear_network_are_its_weights():
    """For F = w·x: |w|, x w or (x − black) w, and w² or |w| whatever the noise."""
    x, w = images(2, 1, 8), images(1, 2, 8)[0]
    network = frozen(lambda v: (v * w).sum(dim=(1, 2, 3)), 8, black=-2.0)
    expected = [
        (gradient, {}, w.abs().expand(2, -1, -1, -1)),
        (input_x_gradient, {}, x * w),
        (input_x_gradient, {"fill": "black"}, (x + 2) * w),
        (input_x_gradient, {"fill": "blur"}, (x - blurred(x, 80 / 224)) * w),
        (smooth_gradient, {}, (w**2).expand(2, -1, -1, -1)),
        (smooth_gradient, {"combine": "magnitude"}, w.abs().expand(2, -1, -1, -1)),
    ]
    for method, settings, map_ in expected:
        torch.testing.assert_close(values(method, network, x, batch_size=3, **settings), map_)


def test_one_copy_without_noise_is_the_squared_gradient():
    """SmoothGrad with n = 1: the square or the absolute value of the gradient at x."""
    network, x = frozen(timm_network("resnet10t", 4)), images(3, 3)
    slopes = values(gradient, network, x, 2, batch_size=2)
    for combine, expected in (("squared", slopes**2), ("magnitude", slopes.abs())):
        maps = values(
            smooth_gradient, network, x, 2, samples=1, noise=0.0, combine=combine, batch_size=2
        )
        torch.testing.assert_close(maps, expected, rtol=0, atol=0)


def test_noise_is_a_share_of_the_range_of_the_image():
    """For F = Σ x³/3 the mean square of x² is E(x + ε)⁴ = x⁴ + 6 x² σ² + 3 σ⁴."""
    x = torch.zeros(1, 3, 32, 32)
    x[:, :, 0, 0] = 4.0
    maps = values(
        smooth_gradient,
        frozen(lambda v: (v**3 / 3).sum(dim=(1, 2, 3))),
        x,
        noise=0.25,
        samples=40,
        batch_size=8,
    )
    # With σ = 0.25 · 4 = 1, at the pixels that are 0.
    assert maps[0, :, 1:].mean() == pytest.approx(3, rel=0.1)


def test_many_copies_agree_better_than_few():
    """Maps of other draws of the noise correlate the more, the more copies they average."""
    network, x = frozen(timm_network("resnet10t", 4)), images(1, 4)

    def agreement(samples: int) -> float:
        maps = []
        for seed in (1, 2):
            request = Request(x[0], Label(0), generator(seed))
            (found,) = smooth_gradient.explain(network, [request], samples, 0.15, "squared", 20)
            maps.append(found.values.flatten().numpy())
        return np.corrcoef(*maps)[0, 1]

    assert agreement(20) > agreement(1) + 0.1


def test_guided_backprop_of_one_relu_by_hand():
    """F = Σ s relu(x): gradient s 1[x > 0] 1[s > 0], and not s 1[x > 0]."""
    signs = nn.Conv2d(3, 3, 1, groups=3, bias=False)
    signs.weight = nn.Parameter(torch.tensor([1.0, -1.0, 2.0]).view(3, 1, 1, 1))
    network, x = frozen(Layers(nn.ReLU(), signs), 4), images(1, 5, 4)
    passed = torch.tensor([1.0, 0.0, 2.0]).view(3, 1, 1) / 48
    torch.testing.assert_close(values(guided_backprop, network, x)[0], passed * (x[0] > 0))
    slopes = values(gradient, network, x)[0]
    torch.testing.assert_close(slopes, signs.weight.abs().view(3, 1, 1) / 48 * (x[0] > 0))


@pytest.mark.parametrize("architecture", ["resnet10t", "densenet121"])
def test_guided_backprop_equals_captums(architecture):
    """On timm's networks, and another map than the gradient."""
    module, x = timm_network(architecture, 4), images(2, 6)
    maps = values(guided_backprop, frozen(module), x, 3, batch_size=2)
    with pytest.warns(UserWarning, match="hooks"):
        captum = (
            GuidedBackprop(module).attribute(x.clone().requires_grad_(), target=3).detach().abs()
        )
    assert (maps - captum).abs().max() <= 1e-4 * captum.abs().max()
    slopes = values(gradient, frozen(module), x, 3, batch_size=2)
    assert (maps - slopes).abs().max() > 0.1 * slopes.abs().max()


@pytest.mark.parametrize(
    ("method", "architecture", "problem"),
    [
        (guided_backprop, "tf_efficientnet_lite0", "guided_backprop .* ReLU6"),
        (guided_backprop, "convnext_atto", "guided_backprop .* GELU"),
        (deep_lift_shap, "tf_efficientnet_lite0", "deep_lift_shap .* ReLU6"),
        (deep_lift_shap, "efficientnet_b0", "deep_lift_shap .* SiLU, Sigmoid"),
        (deep_lift_shap, "micranet", "deep_lift_shap .* function"),
    ],
)
def test_networks_that_do_not_suit_are_refused(method, architecture, problem):
    """Where a rule would have nothing to change, or not all: one sentence says what suits."""
    if architecture == "micranet":
        module = build_network({"method": "micranet"} | FRESH, 2, 3, 0)
    else:
        module = timm_network(architecture)
    with pytest.raises(InputError, match=f"{problem}.*choose an architecture .* resnet50"):
        method.check(frozen(module))


@pytest.mark.parametrize("architecture", ["resnet10t", "densenet121", "unet"])
def test_networks_of_relu_layers_are_admitted(architecture):
    """Batch norms with an activation of their own, and a segmenter, are known too."""
    module = unet() if architecture == "unet" else timm_network(architecture)
    for method in (guided_backprop, deep_lift_shap):
        method.check(frozen(module))


@pytest.mark.parametrize(
    ("architecture", "pool"), [("resnet10t", "avg"), ("resnet10t", "max"), ("densenet121", "avg")]
)
def test_deep_lift_is_complete(architecture, pool):
    """Σ = F(x) − mean F(b), counted by forward passes of the network itself."""
    module = timm_network(architecture, 4, arguments={"global_pool": pool})
    deep_lift_shap.check(frozen(module))
    network, x, background = frozen(module), images(2, 8), images(3, 9)
    maps = attribute(deep_lift_shap, network, x, 1, background=background, batch_size=5)
    with torch.no_grad():
        gains = module(x)[:, 1] - module(background)[:, 1].mean()
    for attribution, gain in zip(maps, gains.tolist(), strict=True):
        assert attribution.gain == pytest.approx(gain, rel=1e-3, abs=1e-6)
        assert attribution.completeness_error < 2e-3
        assert (attribution.gradients, attribution.forwards) == (6, 0)


@pytest.mark.parametrize("fill", ["black", "blur", "mean"])
def test_deep_lift_against_a_fill_is_complete(fill):
    """DeepLIFT with one reference: Σ = F(x) − F(fill), at two passes an image."""
    network, x = frozen(timm_network("resnet10t", 4)), images(3, 8)
    for own, found in zip(x, attribute(deep_lift_shap, network, x, 1, fill=fill), strict=True):
        start = fill_of(network, own[None], fill)
        gain = (network.outputs(own[None]) - network.outputs(start))[0, 1].item()
        assert found.gain == pytest.approx(gain, rel=1e-3, abs=1e-6)
        assert found.completeness_error < 2e-3
        assert (found.gradients, found.forwards) == (2, 0)


def test_deep_lift_equals_captums_without_max_pooling():
    """The same values as Captum's DeepLiftShap, whose rule for max pooling is not complete."""
    module = timm_network("resnet10t", 4)
    module.maxpool = nn.AvgPool2d(3, 2, 1)
    network, x, background = frozen(module), images(2, 10), images(3, 11)
    maps = values(deep_lift_shap, network, x, 1, background=background, batch_size=4)
    with pytest.warns(UserWarning):
        captum = DeepLiftShap(module).attribute(x, background, target=1).detach()
    assert (maps - captum).abs().max() <= 1e-3 * captum.abs().max()


def test_deep_lift_of_a_max_pooling_by_hand():
    """The change of each window goes to the largest input of x or of b, whichever is larger.

    Windows overlap: 0 2 1 against 0 0 0 gives 2 and 2 to the middle, against 0 0 5 the change
    of the second, 2 − 5, to the right.
    """
    x = torch.tensor([0.0, 2.0, 1.0]).expand(1, 3, 1, 3)
    network = frozen(Layers(nn.MaxPool2d((1, 2), 1)), 1)
    cases = [([0.0, 0.0, 0.0], [0.0, 4.0, 0.0]), ([0.0, 0.0, 5.0], [0.0, 2.0, -3.0])]
    for start, expected in cases:
        background = torch.tensor(start).expand(1, 3, 1, 3)
        maps = values(deep_lift_shap, network, x, background=background)
        torch.testing.assert_close(maps[0, 0, 0] * 6, torch.tensor(expected))


@pytest.mark.parametrize("method", [guided_backprop, deep_lift_shap])
@pytest.mark.parametrize("at", [0, 1, 99])
def test_the_network_stays_as_it_was(method, at):
    """Logits to the last bit, parts and hooks are the same afterwards, and after a failure."""
    module = timm_network("resnet10t", 4)
    network, x = frozen(Failing(module, at)), images(3, 12)
    before, parts = module(x), dict(module.named_modules())
    extra = {"background": images(1, 13)} if method is deep_lift_shap else {}
    try:
        attribute(method, network, x, batch_size=2, **extra)
    except RuntimeError as error:
        assert "broken" in str(error)
    torch.testing.assert_close(module(x), before, rtol=0, atol=0)
    assert dict(module.named_modules()) == parts
    assert not any(part._forward_hooks or part._backward_hooks for part in module.modules())
    assert not any("input" in vars(part) for part in module.modules())
