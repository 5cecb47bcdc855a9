"""Grad-CAM and Gradient SHAP against closed forms and Captum, and the registry that asks them."""

from functools import partial

import numpy as np
import pytest
import torch
from captum.attr import GradientShap, LayerGradCam
from torch import nn
from torch.nn import functional as F

from segxai.explain.registry import explain
from segxai.explain.stream import Request, completeness_error
from segxai.explainers.captum_integrated_gradients import captum_gradients
from segxai.explainers.grad_cam import feature_layer, grad_cam
from segxai.explainers.gradient_shap import draw_pairs, gradient_shap
from segxai.explainers.integrated_gradients import integrated_gradients
from segxai.job.log import InputError
from segxai.networks.network import Classifier, build_classifier

SHAP = {"samples": 50, "batch_size": 16}


def generator(seed: int = 0) -> torch.Generator:
    """Source of what is drawn for one image."""
    return torch.Generator().manual_seed(seed)


def images(n: int, seed: int, size: int = 32) -> torch.Tensor:
    """Make `n` random inputs."""
    return torch.randn(n, 3, size, size, generator=generator(seed))


class Conv(nn.Module):
    """Two feature maps by hand: red, and minus green; class 1 likes the first, class 0 the other.

    timm's interface as far as Grad-CAM asks for it.
    """

    feature_info = ({"module": "activation", "num_chs": 2},)

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 2, 2, stride=2, bias=False)
        self.activation = nn.ReLU()
        weight = torch.zeros(2, 3, 2, 2)
        weight[0, 0], weight[1, 1] = 0.25, -0.25
        self.convolution.weight = nn.Parameter(weight)

    def forward(self, x):
        a = self.activation(self.convolution(x)).mean(dim=(2, 3))
        return torch.stack([a[:, 1] - a[:, 0], 3 * a[:, 0] - a[:, 1]], dim=1)


def random_network(architecture: str) -> nn.Module:
    """Build a frozen timm CNN with random weights."""
    return build_classifier(architecture, {}, 4, False, None, 0).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a small CNN."""
    return random_network("resnet10t")


def assert_near(values: torch.Tensor, expected: torch.Tensor, share: float = 1e-3) -> None:
    """Equal up to `share` of the largest value: rounding near a ReLU's kink is not an error."""
    assert expected.abs().max() > 0
    assert (values - expected).abs().max() <= share * expected.abs().max()


def cam_of(score, network, x, layer, batch_size=8) -> torch.Tensor:
    """Grad-CAM of one image, for a score of one class."""
    requests = [Request(x, 0, generator())]
    (found,) = grad_cam(lambda v, y: score(v), network, requests, layer, batch_size)
    assert np.isnan(found.gain)
    return found.values


def shap_of(score, x, background, generator, samples, batch_size) -> tuple[torch.Tensor, float]:
    """Gradient SHAP of one image, for a score of one class: values, and what they sum to."""
    requests = [Request(x, 0, generator)]
    (found,) = gradient_shap(
        lambda v, y: score(v), requests, background, samples=samples, batch_size=batch_size
    )
    return found.values, found.gain


def logit(network: nn.Module, target: int):
    """Score of one class."""
    return lambda x: network(x)[:, target]


def test_grad_cam_of_a_network_made_by_hand():
    """M = max(0, (3 red − 1 minus-green) / cells) on cells of 2 px, upsampled bilinearly."""
    network = Conv()
    x = torch.zeros(1, 3, 8, 8)
    x[:, 0, :4, :4] = 1.0
    x[:, 1, 4:, :] = -1.0
    x[:, 1, :2, :2] = -4.0
    red, minus_green = torch.zeros(2, 1, 1, 4, 4)
    red[..., :2, :2] = 1.0
    minus_green[..., 2:, :] = 1.0
    minus_green[..., 0, 0] = 4.0
    expected = ((3 * red - minus_green) / 16).relu()
    assert expected[0, 0, 0, 0] == 0 < expected[0, 0, 1, 1]
    for layer in ("features", "convolution"):
        cam = cam_of(logit(network, 1), network, x, layer)
        before = expected
        if layer == "convolution":
            # Before the ReLU green counts with its sign, and its gradient where it is cut is 0.
            slope = (minus_green > 0).float().mean() / 16, (red > 0).float().mean() / 16
            before = (3 * slope[1] * red - slope[0] * minus_green).relu()
        torch.testing.assert_close(
            cam, F.interpolate(before, (8, 8), mode="bilinear", align_corners=False)
        )


@pytest.mark.parametrize(("architecture", "target"), [("resnet10t", 0), ("densenet121", 3)])
def test_grad_cam_equals_its_formula_and_captum(architecture, target):
    """On timm's last feature map: the formula by autograd through timm's head, and Captum.

    For the logit and for its negative, so that one of the two maps is not empty.
    """
    network, x = random_network(architecture), images(2, 1, 64)
    peaks = []
    for sign in (1, -1):

        def score(v, sign=sign):
            return sign * network(v)[:, target]

        cam = cam_of(score, network, x, "features")
        features = network.forward_features(x).requires_grad_()
        (sign * network.forward_head(features)[:, target]).sum().backward()
        weighted = features.grad.mean(dim=(2, 3), keepdim=True) * features
        by_hand = weighted.sum(dim=1, keepdim=True).relu().detach()
        captum = LayerGradCam(score, network.global_pool).attribute(
            x.clone().requires_grad_(), attribute_to_layer_input=True, relu_attributions=True
        )
        for expected in (by_hand, captum.detach()):
            expected = F.interpolate(expected, (64, 64), mode="bilinear")
            torch.testing.assert_close(cam, expected, rtol=1e-3, atol=1e-5)
        peaks.append(cam.max())
    assert max(peaks) > 1e-3


def test_last_convolutions_are_those_of_the_papers_code():
    """The last convolution of ResNet-50 and of DenseNet-121, the latter with 32 channels."""
    resnet, densenet = (random_network(name) for name in ("resnet50", "densenet121"))
    assert feature_layer(resnet, "convolution") is resnet.layer4[2].conv3
    assert feature_layer(resnet, "features") is resnet.layer4
    layer = feature_layer(densenet, "convolution")
    assert layer is densenet.features.denseblock4.denselayer16.conv2
    assert layer.out_channels == 32
    assert feature_layer(densenet, "features") is densenet.features.norm5


def test_grad_cam_does_not_depend_on_the_other_windows(network):
    """The map of a window is the same alone and beside another."""
    x = images(2, 2, 64)

    def score(v):
        return -network(v)[:, 1]

    both = cam_of(score, network, x, "convolution")
    alone = cam_of(score, network, x[1:], "convolution")
    assert_near(both[1:], alone)
    assert both.shape == (2, 1, 64, 64)
    assert not x.requires_grad


@pytest.mark.parametrize("architecture", ["vit_tiny_patch16_224", "micranet"])
def test_networks_without_feature_maps_are_refused(architecture):
    """A ViT has tokens, MICRA-Net no list of its maps: one sentence says what to choose."""
    model = build_classifier(architecture, {}, 2, False, None, 0)
    with pytest.raises(InputError, match="choose a convolutional architecture"):
        feature_layer(model, "features")


def test_shap_of_a_linear_score_in_closed_form():
    """For F(x) = w·x the values are w (x − mean background), and their sum is the gain."""
    weights, background = images(1, 3)[0], images(50, 4)
    x = images(1, 5)
    values, gain = shap_of(
        lambda v: (v * weights).sum(dim=(1, 2, 3)), x, background, generator(6), **SHAP
    )
    torch.testing.assert_close(values, weights * (x - background.mean(dim=0)), atol=1e-4, rtol=1e-4)
    assert completeness_error(values, gain) < 1e-3


def test_shap_equals_captums_on_the_same_pairs(network, monkeypatch):
    """Captum's GradientShap gives the same values when fed the same backgrounds and positions."""
    x, background = images(1, 7), images(8, 8)
    chosen, positions = draw_pairs(8, 20, generator(9))
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: positions.double().numpy())
    monkeypatch.setattr(np.random, "choice", lambda n, size: chosen.numpy())
    captum = GradientShap(network).attribute(x, background, n_samples=20, stdevs=0.0, target=2)
    values, _ = shap_of(logit(network, 2), x, background, generator(9), 20, 7)
    assert_near(values, captum.float())


def test_shap_depends_on_neither_batch_size_nor_order(network):
    """Another batch size moves values by rounding; images may be explained in any order."""
    x, background = images(2, 10), images(6, 11)
    ask = partial(shap_of, logit(network, 0), background=background, samples=12)
    first = ask(x[:1], generator=generator(1), batch_size=12)
    for batch_size in (1, 5, 100):
        values, gain = ask(x[:1], generator=generator(1), batch_size=batch_size)
        assert_near(values, first[0])
        assert gain == pytest.approx(first[1], rel=1e-4)
    torch.manual_seed(5)
    ask(x[1:], generator=generator(2), batch_size=12)
    again, _ = ask(x[:1], generator=generator(1), batch_size=12)
    torch.testing.assert_close(again, first[0], rtol=0, atol=0)


def test_more_samples_are_more_complete(network):
    """The completeness error falls as samples are added."""
    x, background = images(1, 12), images(10, 13)

    def error(samples: int, seed: int) -> float:
        draws = generator(seed)
        return completeness_error(
            *shap_of(logit(network, 1), x, background, draws, samples, batch_size=50)
        )

    few, many = (np.median([error(n, seed) for seed in range(5)]) for n in (10, 100))
    assert many < few / 2


def test_even_pairs_are_more_complete_than_independent_ones(monkeypatch):
    """For F(x) = Σ x², whose gradient changes along the way, even pairs err far less."""
    x, background = images(1, 16), images(50, 17)
    gain = ((x**2).sum() - (background**2).sum() / 50).item()

    def mean_error() -> float:
        errors = []
        for seed in range(10):
            draws = generator(seed)
            values, _ = shap_of(lambda v: (v**2).sum(dim=(1, 2, 3)), x, background, draws, **SHAP)
            errors.append(abs(values.sum().item() - gain))
        return np.mean(errors)

    even = mean_error()
    monkeypatch.setattr(
        "segxai.explainers.gradient_shap.draw_pairs",
        lambda n, k, g: (torch.randint(n, (k,), generator=g), torch.rand(k, generator=g)),
    )
    assert even < mean_error() / 10


def test_pairs_are_spread_evenly():
    """Each background image is used equally often, each K-th of 0…1 once, at random together."""
    chosen, positions = draw_pairs(10, 50, generator(0))
    assert torch.bincount(chosen).tolist() == [5] * 10
    assert sorted((positions * 50).int().tolist()) == list(range(50))
    assert positions.tolist() != sorted(positions.tolist())
    few, _ = draw_pairs(10, 4, generator(0))
    assert len(set(few.tolist())) == 4
    assert {tuple(draw_pairs(10, 4, generator(seed))[0].tolist()) for seed in range(9)} != {
        tuple(few.tolist())
    }


def test_registry_asks_each_method_for_what_it_needs(network):
    """The one call gives what each method gives on its own, for any class."""
    classifier = Classifier(network, 32, [0.5] * 3, [0.2] * 3, torch.device("cpu"))
    x, background = images(1, 14), images(4, 15)

    def request():
        return [Request(x, 2, generator(1))]

    captum = {"steps": 3, "noise_samples": 2, "noise_std": 0.1, "batch_size": 8}
    settings = {**captum, "probe": 8, "tolerance": 0.1, "max_steps": 6}
    scores, black = classifier.scores(), classifier.black()
    shap, cam = {"samples": 4, "batch_size": 4}, {"layer": "features", "batch_size": 4}
    for method, own, direct in (
        (
            "integrated_gradients",
            {"engine": "ours", **settings},
            integrated_gradients(scores, request(), black, **settings),
        ),
        (
            "integrated_gradients",
            {"engine": "captum", **settings},
            captum_gradients(scores, request(), black, **captum),
        ),
        ("gradient_shap", shap, gradient_shap(scores, request(), background, **shap)),
        ("grad_cam", cam, grad_cam(scores, network, request(), **cam)),
    ):
        (found,) = explain(classifier, request(), background, method, "float32", False, **own)
        (expected,) = direct
        torch.testing.assert_close(found.values, expected.values, rtol=0, atol=0)
        assert found.gain == pytest.approx(expected.gain, abs=0, nan_ok=True)
    with pytest.raises(ValueError, match="no explainer 'lime'"):
        explain(classifier, request(), background, "lime", "float32", False)


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_shap", "grad_cam"])
def test_company_changes_no_bit(network, method):
    """An image's map is the same to the last bit alone, among others, and in any order.

    What a killed job goes on from, and in how many shards a data set is explained, is therefore
    of no matter.
    """
    classifier = Classifier(network, 32, [0.5] * 3, [0.2] * 3, torch.device("cpu"))
    settings = {
        "integrated_gradients": {"steps": 3, "noise_samples": 2, "noise_std": 0.1, "probe": 4}
        | {"tolerance": 0.02, "max_steps": 12},
        "gradient_shap": {"samples": 5},
        "grad_cam": {"layer": "features"},
    }[method]
    x, background = images(7, 21), images(4, 22)

    def ask(order) -> dict[int, torch.Tensor]:
        requests = (Request(x[i : i + 1], i % 4, generator(i)) for i in order)
        found = explain(
            classifier, requests, background, method, "float32", False, batch_size=4, **settings
        )
        return {i: one.values for i, one in zip(order, found, strict=True)}

    together = ask(range(7))
    assert max(values.abs().max() for values in together.values()) > 0
    for order in ([6, 2, 5, 1], [4], [3, 4, 5, 6]):
        for i, values in ask(order).items():
            torch.testing.assert_close(values, together[i], rtol=0, atol=0)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batch_size_moves_maps_by_rounding(network, batch_size):
    """Grad-CAM and SHAP of several images in batches of 1, 7 and 64 agree."""
    classifier = Classifier(network, 32, [0.5] * 3, [0.2] * 3, torch.device("cpu"))
    x, background = images(5, 23), images(4, 24)
    for method, settings in (
        ("gradient_shap", {"samples": 6}),
        ("grad_cam", {"layer": "features"}),
    ):
        answers = []
        for size in (batch_size, 3):
            requests = (Request(x[i : i + 1], i % 4, generator(i)) for i in range(5))
            own = {**settings, "batch_size": size}
            found = explain(classifier, requests, background, method, "float32", False, **own)
            answers.append(torch.cat([one.values for one in found]))
        assert_near(*answers)
