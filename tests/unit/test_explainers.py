"""Grad-CAM and Gradient SHAP against closed forms and Captum."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from captum.attr import GradientShap, LayerGradCam
from torch import nn
from torch.nn import functional as F

from segxai.explain.stream import Request
from segxai.explain.target import Label, Region
from segxai.explainers import grad_cam, gradient_shap
from segxai.explainers.gradient_shap import draw_pairs
from segxai.job.log import InputError
from segxai.networks.features import feature_layer, outputs_of
from segxai.networks.network import build_network
from tests.unit.toy_networks import FRESH, frozen, generator, images, timm_network, unet

SHAP = {"samples": 50, "batch_size": 16}


class Conv(nn.Module):
    """Two feature maps by hand: red, and minus green; class 1 likes the first, class 0 the other.

    The part of timm's interface that Grad-CAM uses.
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
    return timm_network(architecture, 4).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a small CNN."""
    return random_network("resnet10t")


def assert_near(values: torch.Tensor, expected: torch.Tensor, share: float = 1e-3) -> None:
    """Equal up to `share` of the largest value: rounding near a ReLU's kink is not an error."""
    assert expected.abs().max() > 0
    assert (values - expected).abs().max() <= share * expected.abs().max()


def cams_of(module, x, layer, target, batch_size=8) -> torch.Tensor:
    """Grad-CAM (n, 1, H, W) of n inputs for one target."""
    requests = (Request(image, target, generator()) for image in x)
    attributions = grad_cam.explain(frozen(module, x.shape[-1]), requests, layer, batch_size)
    return torch.stack([attribution.values for attribution in attributions])


def shap_of(module, x, target, background, seed, **settings):
    """Gradient SHAP of one input (C, H, W)."""
    request = Request(x, Label(target), generator(seed))
    network = frozen(module, x.shape[-1])
    (attribution,) = gradient_shap.explain(network, [request], background=background, **settings)
    return attribution


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
        cam = cams_of(network, x, layer, Label(1))
        before = expected
        if layer == "convolution":
            # Before the ReLU green counts with its sign, and its gradient where it is cut is 0.
            slope = (minus_green > 0).float().mean() / 16, (red > 0).float().mean() / 16
            before = (3 * slope[1] * red - slope[0] * minus_green).relu()
        torch.testing.assert_close(
            cam, F.interpolate(before, (8, 8), mode="bilinear", align_corners=False)
        )


class Signed(nn.Module):
    """A network whose logits are multiplied by a sign, with its feature maps."""

    def __init__(self, module: nn.Module, sign: int):
        super().__init__()
        self.module, self.sign = module, sign
        last = module.feature_info[-1]
        self.feature_info = ({"module": f"module.{last['module']}"},)

    def forward(self, x):
        return self.sign * self.module(x)


@pytest.mark.parametrize(("architecture", "target"), [("resnet10t", 0), ("densenet121", 3)])
def test_grad_cam_equals_its_formula_and_captum(architecture, target):
    """On timm's last feature map: the formula by autograd through timm's head, and Captum.

    For the logit and for its negative, so that one of the two maps is not empty.
    """
    network, x = random_network(architecture), images(2, 1, 64)
    peaks = []
    for sign in (1, -1):
        cam = cams_of(Signed(network, sign), x, "features", Label(target))
        features = network.forward_features(x).requires_grad_()
        (sign * network.forward_head(features)[:, target]).sum().backward()
        weighted = features.grad.mean(dim=(2, 3), keepdim=True) * features
        by_hand = weighted.sum(dim=1, keepdim=True).relu().detach()
        captum = LayerGradCam(
            lambda v, sign=sign: sign * network(v)[:, target], network.global_pool
        ).attribute(
            x.clone().requires_grad_(), attribute_to_layer_input=True, relu_attributions=True
        )
        for expected in (by_hand, captum.detach()):
            expected = F.interpolate(expected, (64, 64), mode="bilinear")
            torch.testing.assert_close(cam, expected, rtol=1e-3, atol=1e-5)
        peaks.append(cam.max())
    assert max(peaks) > 1e-3


def weighed(model: nn.Module, layer: str, size: int = 64) -> nn.Module:
    """Layer that Grad-CAM weighs in a network for inputs of a size."""
    return feature_layer(frozen(model, size), layer, "grad_cam").module


def test_last_convolutions_are_those_of_the_papers_code():
    """The last convolution of ResNet-50 and of DenseNet-121, the latter with 32 channels."""
    resnet, densenet = (random_network(name) for name in ("resnet50", "densenet121"))
    assert weighed(resnet, "convolution") is resnet.layer4[2].conv3
    assert weighed(resnet, "features") is resnet.layer4
    layer = weighed(densenet, "convolution")
    assert layer is densenet.features.denseblock4.denselayer16.conv2
    assert layer.out_channels == 32
    assert weighed(densenet, "features") is densenet.features.norm5


def test_layers_of_a_unet_are_its_bottleneck_and_its_last_convolution_before_the_head():
    """Seg-Grad-CAM weighs the deepest level, or what the 1×1 head reads."""
    model = unet()
    assert weighed(model, "features") is model.encoders[4]
    assert weighed(model, "convolution") is model.decoders[3][3]


def test_networks_without_feature_maps_are_refused():
    """A ViT has tokens, MICRA-Net no list of its maps: one sentence names the remedy."""
    micranet = build_network({"method": "micranet"} | FRESH, 2, 3, 0)
    vit = timm_network("vit_tiny_patch16_224", arguments={"img_size": 64, "depth": 2})
    mixer = timm_network("mixer_s32_224", arguments={"img_size": 64})
    asked = [(micranet, "features"), *product((vit, mixer), ("features", "convolution"))]
    for model, layer in asked:
        with pytest.raises(InputError, match=r"grad_cam .* choose a convolutional architecture"):
            weighed(model, layer)


# One of each family whose last convolution, or whose order of axes, is not that of a ResNet.
FAMILIES = [
    "mobilenetv3_small_050",
    "ghostnet_050",
    "convnext_atto",
    "swin_tiny_patch4_window7_224",
]
SWIN = {"img_size": 64, "window_size": 2, "embed_dim": 24, "depths": [1, 1, 1, 1]}


@pytest.mark.parametrize("architecture", FAMILIES)
@pytest.mark.parametrize("layer", ["features", "convolution"])
def test_what_is_weighed_has_positions(architecture, layer):
    """Maps of 2×2 positions at 64 px, channels first: what follows the pooling is passed over."""
    arguments = SWIN if architecture.startswith("swin") else {}
    model = timm_network(architecture, 2, arguments=arguments)
    network = frozen(model, 64)
    if arguments and layer == "convolution":
        with pytest.raises(InputError, match="set `layer: features`"):
            feature_layer(network, layer, "grad_cam")
        return
    last = feature_layer(network, layer, "grad_cam")
    with torch.no_grad(), outputs_of([last.module]) as outputs:
        model(images(1, 4, 64))
    activations = last.channels_first(outputs[last.module])
    assert activations.shape[2:] == (2, 2)
    if layer == "features":
        wider = {"ghostnet_050": 480}
        channels = wider.get(architecture, model.feature_info[-1]["num_chs"])
        assert activations.shape[1] == channels


def test_the_last_map_is_what_pooling_reads():
    """EfficientNet widens its last stage by a convolution that it does not list."""
    model = timm_network("tf_efficientnet_lite0", 2)
    network, inputs, read = frozen(model, 64), images(1, 4, 64), []
    last = feature_layer(network, 1, "grad_cam")
    hook = model.global_pool.register_forward_pre_hook(lambda _, args: read.append(args[0]))
    with torch.no_grad(), outputs_of([last.module]) as outputs:
        model(inputs)
    hook.remove()
    assert last.shape == (1280, 2, 2)
    torch.testing.assert_close(outputs[last.module], read[0])
    assert feature_layer(network, 2, "grad_cam").name == "blocks.6"


class ConvolutionalHead(Conv):
    """A network whose head is convolutional, as VGG's is: it ends in fewer positions, or in one."""

    def __init__(self, side: int):
        super().__init__()
        self.late = nn.Conv2d(2, 2, side)

    def forward(self, x):
        return self.late(self.activation(self.convolution(x))).mean(dim=(2, 3))


@pytest.mark.parametrize("side", [3, 4])
def test_a_head_of_convolutions_is_not_weighted(side):
    """Of 4×4 positions of the last map it leaves 2×2, or one: neither is the last convolution."""
    model = ConvolutionalHead(side)
    assert weighed(model, "convolution", 8) is model.convolution


class ChannelsLast(Conv):
    """The network made by hand, with its activations kept as (B, h, w, C)."""

    def __init__(self):
        super().__init__()
        self.activation = nn.Sequential(nn.ReLU(), Permuted(0, 2, 3, 1))

    def forward(self, x):
        a = self.activation(self.convolution(x)).mean(dim=(1, 2))
        return torch.stack([a[:, 1] - a[:, 0], 3 * a[:, 0] - a[:, 1]], dim=1)


class Permuted(nn.Module):
    """Axes in another order."""

    def __init__(self, *order: int):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(*self.order)


def test_channels_last_give_the_map_of_channels_first():
    """The same network with its axes in another order has the same Grad-CAM."""
    x = images(2, 4, 8)
    maps = [cams_of(model(), x, "features", Label(1)) for model in (Conv, ChannelsLast)]
    assert maps[0].max() > 0
    torch.testing.assert_close(maps[1], maps[0])


def test_seg_grad_cam_by_hand():
    """For a region: activations of the bottleneck by the mean gradients of the region's logit."""
    model = unet(outputs=2).eval().requires_grad_(False)
    x, mask = images(1, 3), torch.zeros(32, 32, dtype=torch.bool)
    mask[4:20, 10:18] = True
    captured = []
    hook = model.encoders[4].register_forward_hook(lambda _, __, output: captured.append(output))
    logits = model(x.clone().requires_grad_())
    hook.remove()
    (slopes,) = torch.autograd.grad(logits[0, 1][mask].mean(), captured)
    weighted = (slopes.mean(dim=(2, 3), keepdim=True) * captured[0]).sum(dim=1, keepdim=True)
    expected = F.interpolate(weighted.relu().detach(), (32, 32), mode="bilinear")
    cam = cams_of(model, x, "features", Region(1, mask))
    assert expected.max() > 0
    torch.testing.assert_close(cam, expected, rtol=1e-4, atol=1e-7)


def test_shap_of_a_linear_score_in_closed_form():
    """For F(x) = w·x the values are w (x − mean background), and their sum is the gain."""
    weights, background = images(1, 3)[0], images(50, 4)
    x = images(1, 5)[0]
    attribution = shap_of(lambda v: (v * weights).sum(dim=(1, 2, 3)), x, 0, background, 6, **SHAP)
    expected = weights * (x - background.mean(dim=0))
    torch.testing.assert_close(attribution.values, expected, atol=1e-4, rtol=1e-4)
    assert attribution.completeness_error < 1e-3


def test_shap_equals_captums_on_the_same_pairs(network, monkeypatch):
    """Captum's GradientShap gives the same values when fed the same backgrounds and positions."""
    x, background = images(1, 7), images(8, 8)
    chosen, positions = draw_pairs(8, 20, generator(9))
    monkeypatch.setattr(np.random, "uniform", lambda low, high, size: positions.double().numpy())
    monkeypatch.setattr(np.random, "choice", lambda n, size: chosen.numpy())
    captum = GradientShap(network).attribute(x, background, n_samples=20, stdevs=0.0, target=2)
    attribution = shap_of(network, x[0], 2, background, 9, samples=20, batch_size=7)
    assert_near(attribution.values, captum[0].float())


def test_shap_depends_on_neither_batch_size_nor_order(network):
    """Another batch size moves values by rounding; images may be explained in any order."""
    x, background = images(2, 10), images(6, 11)
    ask = partial(shap_of, network, target=0, background=background, samples=12)
    first = ask(x[0], seed=1, batch_size=12)
    for batch_size in (1, 5, 100):
        attribution = ask(x[0], seed=1, batch_size=batch_size)
        assert_near(attribution.values, first.values)
        assert attribution.gain == pytest.approx(first.gain, rel=1e-4)
    torch.manual_seed(5)
    ask(x[1], seed=2, batch_size=12)
    again = ask(x[0], seed=1, batch_size=12)
    torch.testing.assert_close(again.values, first.values, rtol=0, atol=0)


def test_more_samples_are_more_complete(network):
    """The completeness error falls as samples are added."""
    x, background = images(1, 12)[0], images(10, 13)

    def error(samples: int, seed: int) -> float:
        attribution = shap_of(network, x, 1, background, seed, samples=samples, batch_size=50)
        return attribution.completeness_error

    few, many = (np.median([error(n, seed) for seed in range(5)]) for n in (10, 100))
    assert many < few / 2


def test_even_pairs_are_more_complete_than_independent_ones(monkeypatch):
    """For F(x) = Σ x², whose gradient changes along the way, even pairs err far less."""
    x, background = images(1, 16)[0], images(50, 17)
    gain = ((x**2).sum() - (background**2).sum() / 50).item()

    def mean_error() -> float:
        errors = []
        for seed in range(10):
            attribution = shap_of(
                lambda v: (v**2).sum(dim=(1, 2, 3)), x, 0, background, seed, **SHAP
            )
            errors.append(abs(attribution.values.sum().item() - gain))
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
