"""Explainers by feature maps against each other, closed forms and runs of the whole network."""

import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from segxai.explain.activations import activations, upsampled, with_gradients
from segxai.explain.removal import blurred
from segxai.explain.stream import Request
from segxai.explain.tail import Tail
from segxai.explain.target import Label, Region, log_odds
from segxai.explainers import (
    ablation_cam,
    eigen_cam,
    grad_cam,
    grad_cam_plus_plus,
    hires_cam,
    layer_cam,
    score_cam,
)
from segxai.job.log import InputError
from segxai.networks.features import feature_layer
from segxai.networks.network import Network
from tests.unit.toy_networks import frozen, generator, images, timm_network, unet


class Given(nn.Module):
    """Feature maps that are channels of the input, pooled and weighed by hand: F = w·Ā + b."""

    feature_info = ({"module": "maps"},)

    def __init__(self, weights: list[list[float]], bias: float = 0.0):
        super().__init__()
        self.maps = nn.Identity()
        self.head = nn.Linear(len(weights[0]), len(weights))
        self.head.weight.data = torch.tensor(weights)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, x):
        return self.head(self.maps(x[:, : self.head.in_features]).mean(dim=(2, 3)))


def explain(method, network: Network, x: torch.Tensor, target=None, **settings) -> torch.Tensor:
    """Maps (n, 1, H, W) of inputs (n, C, H, W) for one target."""
    settings = {"batch_size": 4} | settings
    requests = (Request(image, target or Label(0), generator()) for image in x)
    return torch.stack([each.values for each in method.explain(network, requests, **settings)])


def score(network, x, target=None, **settings) -> list:
    """Score-CAM of inputs, with what it cost."""
    known = {"variant": "paper", "fill": "mean", "stage": 1, "block": 2, "tolerance": None}
    known["batch_size"] = 3
    requests = [Request(image, target or Label(0), generator()) for image in x]
    return [*score_cam.explain(network, requests, **known | settings)]


@pytest.fixture(scope="module")
def resnet() -> Network:
    """Return a small ResNet whose tail is a pooling and one linear layer."""
    return frozen(timm_network("resnet10t", 4), 64)


@pytest.mark.parametrize("head", [None, 8])
def test_at_the_last_map_before_pooling_three_methods_are_one(head):
    """Grad-CAM = HiResCAM = XGrad-CAM there, the last two cut at 0; also under a deeper head.

    For the logit and for its negative, so that one of the two maps is not empty.
    """
    network, x = frozen(timm_network("resnet10t", 4, head_features=head), 64), images(2, 1, 64)
    maps, slopes = with_gradients(
        network, x, feature_layer(network, 1, "test"), lambda output: output[:, 1]
    )
    mass = (slopes * maps).sum(dim=(2, 3), keepdim=True) / maps.sum(dim=(2, 3), keepdim=True)
    # A dead channel has no weight.
    x_grad = (mass.nan_to_num() * maps).sum(dim=1)
    high_resolution = hires_cam.combine(maps, slopes)
    for sign in (1, -1):
        plain = grad_cam.combine(maps, sign * slopes)
        for other in (high_resolution, x_grad):
            torch.testing.assert_close((sign * other).relu(), plain, rtol=1e-4, atol=1e-6)
    assert high_resolution.abs().max() > 0


def test_hires_cam_sums_to_the_target_less_its_bias(resnet):
    """Σ M = F − b before M is upsampled, which a whole factor multiplies by its square."""
    x = images(3, 2, 64)
    with torch.no_grad():
        expected = resnet.outputs(x)[:, 2] - resnet.module.get_classifier().bias[2]
    found = explain(hires_cam, resnet, x, Label(2), stage=1).sum(dim=(1, 2, 3)) / 32**2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_grad_cam_plus_plus_in_closed_form():
    """For constant gradients g the weight is Z max(0, g) / (2 + S g), of each channel."""
    x = images(1, 3, 8).abs()
    network = frozen(Given([[2.0, -1.0, 0.5]]), 8)
    g, mass = torch.tensor([2.0, 0.0, 0.5]) / 64, x[0].sum(dim=(1, 2))
    expected = torch.einsum("k,khw->hw", 64 * g / (2 + mass * g), x[0])
    found = explain(grad_cam_plus_plus, network, x, stage=1)[0, 0]
    torch.testing.assert_close(found, expected)


def test_layer_cam_keeps_positive_gradients_in_place():
    """Channels and places with negative gradients add nothing, whatever their activation."""
    maps = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[5.0, -6.0], [7.0, 8.0]]]])
    slopes = torch.tensor([[[[1.0, -1.0], [0.0, 2.0]], [[-1.0, 1.0], [1.0, -3.0]]]])
    expected = torch.tensor([[[1.0, 0.0], [7.0, 8.0]]])
    torch.testing.assert_close(layer_cam.combine(maps, slopes), expected)


def test_stages_are_counted_from_the_last(resnet):
    """The last but one has four times the positions of the last; a stage too many is refused."""
    shapes = [feature_layer(resnet, stage, "test").shape for stage in (1, 2, 3)]
    assert shapes == [(512, 2, 2), (256, 4, 4), (128, 8, 8)]
    network = frozen(Given([[1.0, 1.0, 1.0]]), 8)
    with pytest.raises(InputError, match=r"layer_cam has `stage: 2`.* set a `stage` of at most 1"):
        layer_cam.check(network, stage=2, batch_size=1)


def test_eigen_cam_of_rank_one():
    """For A = u vᵀ the map is |v| times u less its mean, whatever the signs, and cut at 0."""
    u = torch.rand(6, 6, generator=generator(1)) ** 4
    # Both Gram matrices: more positions than channels, and fewer.
    for channels in (3, 50):
        v = torch.randn(channels, generator=generator(2))
        expected = v.norm() * (u - u.mean())
        assert expected.max() > -expected.min()
        for sign in (1, -1):
            maps = sign * v[:, None, None] * u
            torch.testing.assert_close(
                eigen_cam.first_component(maps), expected, rtol=1e-4, atol=1e-5
            )


def test_eigen_cam_is_the_first_singular_vector_and_sees_no_target(resnet):
    """The singular value decomposition agrees up to sign; two labels have one map."""
    x = images(1, 4, 64)
    maps = activations(resnet, x, feature_layer(resnet, 2, "test"))[0]
    rows = maps.flatten(1).T
    left, values, _ = torch.linalg.svd(rows - rows.mean(dim=0), full_matrices=False)
    expected = (left[:, 0] * values[0]).view(maps.shape[1:])
    found = eigen_cam.first_component(maps)
    assert found.flatten()[found.abs().argmax()] > 0
    torch.testing.assert_close(found.abs(), expected.abs(), rtol=1e-3, atol=1e-4)
    both = [explain(eigen_cam, resnet, x, Label(label), stage=1) for label in (0, 3)]
    torch.testing.assert_close(*both, rtol=0, atol=0)


def test_score_cam_of_one_channel_is_the_channel():
    """With K = 1 the softmax is 1: the map is the positive part of the only feature map."""
    network = frozen(Given([[1.0]]), 8)
    x = images(1, 5, 8)
    (found,) = score(network, x)
    torch.testing.assert_close(found.values, x[0, :1].relu())
    assert (found.gradients, found.forwards) == (0, 2)


class Object(nn.Module):
    """A network that sees the top left quadrant alone, with three feature maps of its red image."""

    feature_info = ({"module": "maps"},)

    def __init__(self, maps: torch.Tensor):
        super().__init__()
        self.maps = Constant(maps)

    def forward(self, x):
        seen = x[:, 0, :4, :4].mean(dim=(1, 2)) + 0 * self.maps(x).sum(dim=(1, 2, 3))
        return torch.stack([8 * seen, -8 * seen], dim=1)


class Constant(nn.Module):
    """The same feature maps for any input."""

    def __init__(self, maps: torch.Tensor):
        super().__init__()
        self.maps = maps

    def forward(self, x):
        return self.maps.expand(len(x), -1, -1, -1).clone()


def quadrants(dead: int = 0) -> torch.Tensor:
    """Three feature maps, of which the second is the mask of the top left; then constant ones."""
    maps = torch.zeros(3 + dead, 8, 8)
    maps[0, 4:, :4], maps[1, :4, :4], maps[2, :4, 4:] = 1, 1, 1
    maps[4:] = 2.0
    return maps


@pytest.mark.parametrize("variant", ["paper", "authors", "pgc"])
def test_score_cam_finds_the_channel_that_is_the_objects_mask(variant):
    """The map is largest where the network looks: the channel that shows it wins."""
    network = frozen(Object(quadrants()), 8)
    (found,) = score(network, torch.ones(1, 3, 8, 8), variant=variant)
    # What shows the object scores 8 and its odds are e^16; the others 0, and even odds.
    won, lost = {"authors": (0.9997, 0.5)}.get(variant, (0.9993, 0.0003))
    assert found.values[0, :4, :4].mean() == pytest.approx(won, abs=1e-3)
    assert found.values[0, 4:, :4].mean() == pytest.approx(lost, abs=1e-3)


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_dead_channels_change_nothing_and_cost_nothing(variant):
    """Channels that are zero or another constant everywhere are left out; pgc runs them."""
    x, cost = torch.ones(1, 3, 8, 8), {}
    for dead in (0, 4):
        network = frozen(Object(quadrants(dead)), 8)
        (cost[dead],) = score(network, x, variant=variant)
        (pgc,) = score(network, x, variant="pgc")
        assert pgc.forwards == 1 + 3 + dead
    torch.testing.assert_close(cost[4].values, cost[0].values)
    assert cost[0].forwards == cost[4].forwards == 4


def small() -> Network:
    """A network of 64 feature maps of 8×8 positions, of falling variance and some of them dead."""
    torch.manual_seed(0)
    convolution, head = nn.Conv2d(3, 64, 4, stride=4), nn.Linear(64, 4)
    convolution.weight.data *= 10 * 0.9 ** torch.arange(64.0).view(-1, 1, 1, 1)
    convolution.bias.data[::5] -= 40
    module = nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    module.feature_info = ({"module": "1"},)
    return frozen(module, 32)


@pytest.mark.parametrize("fill", ["mean", "black", "blur"])
def test_score_cam_equals_its_formula(fill):
    """Each channel's mask on the image, all in one softmax, in the order of the network.

    The rest of the image is the mean colour, which is 0, or black, or blurred.
    """
    network, x, target = small(), images(1, 6), Label(1)
    hidden = {"mean": 0 * x, "black": 0 * x - 2, "blur": blurred(x, 32 * 10 / 224)}[fill]
    maps = activations(network, x, feature_layer(network, 1, "test"))[0]
    masks = upsampled(maps, x)
    low, high = masks.amin(dim=(2, 3), keepdim=True), masks.amax(dim=(2, 3), keepdim=True)
    alive = (high > low).flatten()
    assert not alive.all()
    masks = ((masks - low) / (high - low))[alive]
    with torch.no_grad():
        logits = network.outputs(hidden * (1 - masks) + x * masks)[:, 1]
    weights = logits.softmax(dim=0)
    expected = torch.einsum("k,khw->hw", weights, maps[alive]).relu()
    (found,) = score(network, x, target, fill=fill, block=9, batch_size=7)
    torch.testing.assert_close(found.values, upsampled(expected[None], x)[0], rtol=1e-3, atol=1e-5)
    assert found.forwards == 1 + int(alive.sum())


def test_score_cam_stops_when_the_order_of_pixels_stands_still():
    """Fewer passes with a tolerance, in whole blocks, and nearly the same map."""
    network, x = small(), images(1, 6)
    whole, stopped = (
        score(network, x, Label(1), block=8, tolerance=tolerance)[0] for tolerance in (None, 0.01)
    )
    assert stopped.forwards < whole.forwards
    assert (stopped.forwards - 1) % 8 == 0
    assert spearmanr(stopped.values.flatten(), whole.values.flatten()).statistic > 0.98


def test_ablation_cam_of_a_linear_head_in_closed_form():
    """w_k = w_k Ā_k, without the division by F, also where F is negative."""
    weights = [[2.0, -1.0, 0.5], [-3.0, 1.0, -1.0]]
    network = frozen(Given(weights, bias=-5.0), 8)
    x = images(2, 7, 8).abs()
    assert network.outputs(x).max() < 0
    for label, row in enumerate(weights):
        lost = torch.tensor(row) * x.mean(dim=(2, 3))
        expected = torch.einsum("bk,bkhw->bhw", lost, x).relu()
        found = explain(ablation_cam, network, x, Label(label), stage=1)[:, 0]
        torch.testing.assert_close(found, expected)


def lost_by_whole_runs(network, x, target: int, stage: int, channels: int) -> torch.Tensor:
    """What a logit of one image loses without each of the first channels of a feature map."""
    module = feature_layer(network, stage, "test").module

    def without(_, __, output):
        output = output.clone()
        output[torch.arange(channels), torch.arange(channels)] = 0
        return output

    copies = x.expand(channels, -1, -1, -1)
    hook = module.register_forward_hook(without)
    left = network.outputs(copies)[:, target]
    hook.remove()
    return network.outputs(copies)[:, target] - left


@pytest.mark.parametrize(
    ("head", "stage", "affine"), [(None, 1, True), (8, 1, False), (None, 2, False)]
)
def test_ablation_cam_equals_running_the_whole_network(head, stage, affine):
    """By a closed form after one linear layer, by the tail alone after a deeper head or stage."""
    network = frozen(timm_network("resnet10t", 4, head_features=head), 64)
    x = images(1, 8, 64)
    layer = feature_layer(network, stage, "test")
    tail = Tail(network, layer, x)
    assert tail.is_affine() == affine
    weights = ablation_cam.losses(tail, 0, Label(1), batch_size=32)
    expected = lost_by_whole_runs(network, x, 1, stage, channels=24)
    assert (weights[:24] - expected).abs().max() <= 1e-3 * expected.abs().max() + 1e-7
    if affine:
        maps, slopes = with_gradients(network, x, layer, lambda output: output[:, 1])
        closed = (slopes * maps).sum(dim=(2, 3))[0]
        assert (weights - closed).abs().max() <= 1e-3 * closed.abs().max()
    by_tail = torch.einsum("k,khw->hw", weights, tail.activations[0]).relu()
    found = explain(ablation_cam, network, x, Label(1), stage=stage, batch_size=32)[0]
    torch.testing.assert_close(found, upsampled(by_tail[None], x)[0], rtol=1e-3, atol=1e-6)


FAMILIES = ["tf_efficientnet_lite0", "convnext_atto", "swin_tiny_patch4_window7_224"]
SWIN = {"img_size": 64, "window_size": 2, "embed_dim": 24, "depths": [1, 1, 1, 1]}


@pytest.mark.parametrize("architecture", [*FAMILIES, "unet"])
def test_the_tail_is_what_the_network_computes_after_a_layer(architecture):
    """Other activations give what the whole network gives with them, skip connections and all.

    Afterwards the network is as it was, to the last bit.
    """
    arguments = SWIN if architecture.startswith("swin") else {}
    module = (
        unet(2) if architecture == "unet" else timm_network(architecture, 4, arguments=arguments)
    )
    network, x = frozen(module, 64), images(2, 9, 64)
    before, names = network.outputs(x), [vars(part).keys() for part in module.modules()]
    layer = feature_layer(network, 1, "test")
    tail = Tail(network, layer, x)
    # A U-Net with random weights hardly hears its bottleneck.
    changed = 1e4 * tail.activations / tail.activations.abs().max()
    changed[:, ::2] = 0

    def replace(_, __, output):
        return (changed.permute(0, 2, 3, 1) if layer.channels_last else changed).clone()

    hook = layer.module.register_forward_hook(replace)
    expected = network.outputs(x)
    hook.remove()
    for image in range(2):
        found = tail.outputs(image, changed[[1 - image, image]])[1]
        assert (found - expected[image]).abs().max() <= 1e-5 * expected.abs().max()
    assert (expected - before).abs().max() > 1e-4 * expected.abs().max()
    assert torch.equal(network.outputs(x), before)
    assert names == [vars(part).keys() for part in module.modules()]


def test_a_network_is_whole_again_after_an_error_in_its_tail(resnet):
    """Activations of another shape fail; the network computes as before."""
    x = images(1, 11, 64)
    before = resnet.outputs(x)
    tail = Tail(resnet, feature_layer(resnet, 1, "test"), x)
    with pytest.raises(RuntimeError):
        tail.outputs(0, torch.zeros(1, 3, 2, 2))
    assert torch.equal(resnet.outputs(x), before)


def test_probability_of_classes_that_exclude_each_other():
    """The sigmoid of the log-odds is the softmax, or the sigmoid of labels that do not."""
    output, labels = images(1, 12)[0, 0, :5], [Label(k) for k in range(5)]
    probability = log_odds(output, labels, True).sigmoid()
    torch.testing.assert_close(probability, output.softmax(dim=1).diagonal()[:5])
    torch.testing.assert_close(log_odds(output, labels, False), output.diagonal()[:5])
    region = Region(0, torch.ones(2, 2, dtype=torch.bool))
    assert log_odds(torch.full((1, 1, 2, 2), 3.0), [region], True).item() == 3.0
