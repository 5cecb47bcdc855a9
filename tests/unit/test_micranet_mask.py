"""MICRA-Net's masks: class activation maps against Captum and by hand, and the cut of them."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional as F

from segxai.networks.micranet import build
from segxai.segmenters.micranet import _scaled, segment
from segxai.segmenters.network_inputs import level_maps

SIDES = (32, 32, 16, 16, 8, 8, 4, 4)
# One pixel of a map of 32.
SETTINGS = {"sigma": 7, "quantile": 0.8}


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a frozen network whose norm layers have seen data, as after training."""
    model = build(2, 3)
    model.train()
    with torch.no_grad():
        for seed in range(5):
            model(image(seed).expand(2, -1, -1, -1))
    return model.eval().requires_grad_(False)


def image(seed: int) -> torch.Tensor:
    """Make one random input."""
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


def random_maps(seed: int, sides: tuple[int, ...] = SIDES) -> list[np.ndarray]:
    """Smooth random maps of all levels, the deepest rectified."""
    rng = np.random.default_rng(seed)
    maps = [gaussian_filter(rng.normal(size=(side, side)), side / 16) for side in sides]
    return [*maps[:-1], np.maximum(maps[-1], 0)]


def blob(side: int, seed: int = 0) -> np.ndarray:
    """Draw a bump off the centre of a map of a 32-px image, with no two values alike."""
    y, x = (np.mgrid[:side, :side] + 0.5) * 32 / side
    noise = np.random.default_rng(seed).uniform(0, 1e-3, (side, side))
    return np.exp(-((y - 10) ** 2 + (x - 20) ** 2) / 50) + noise


@pytest.mark.parametrize("target", [0, 1])
def test_level_maps_equal_captums_layer_by_layer(network, target):
    """One pass for all levels gives what Captum gives for each layer alone, the last rectified."""
    maps = level_maps(network, network.levels, image(5), target)
    assert [level.shape for level in maps] == [(side, side) for side in SIDES]
    for depth, layer in enumerate(network.levels):
        x = image(5).requires_grad_()
        alone = LayerGradCam(network, layer).attribute(
            x, target, relu_attributions=depth == len(maps) - 1
        )
        expected = alone[0, 0].detach().double().numpy()
        np.testing.assert_allclose(maps[depth], expected, rtol=1e-4, atol=1e-7)
    assert min(level.min() for level in maps[:-1]) < 0 <= maps[-1].min()


def test_grad_cam_by_hand(network):
    """For one level the map is activations weighted by their mean gradients of the logit."""
    maps = level_maps(network, network.levels, image(6), 1)
    shallow = network.levels[:4](image(6))[-1].detach().requires_grad_()
    deeper = shallow
    for level in list(network.levels)[4:]:
        deeper = level(deeper)
    network.forward_head(deeper)[0, 1].backward()
    by_hand = (shallow.grad.mean(dim=(2, 3), keepdim=True) * shallow).sum(dim=1)[0]
    assert by_hand.abs().max() > 0
    np.testing.assert_allclose(maps[3], by_hand.detach().numpy(), rtol=1e-4, atol=1e-7)


def test_maps_leave_no_trace(network):
    """Explaining neither needs gradients of the weights nor changes later logits."""
    before = network(image(7))
    x = image(7)
    level_maps(network, network.levels, x, 0)
    assert not x.requires_grad
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())
    torch.testing.assert_close(network(image(7)), before, rtol=0, atol=0)


def test_planted_component_is_found():
    """Where all levels show one blob, the mask is the brightest fifth of the smoothed blob."""
    maps = [(depth + 1) * blob(32) for depth in range(7)] + [blob(4)]
    mask = segment(maps, **SETTINGS)
    smooth = gaussian_filter(blob(32), 1, mode="nearest")
    np.testing.assert_array_equal(mask, smooth > np.quantile(smooth, 0.8))
    assert mask[10, 20]


def test_dominant_pattern_wins():
    """A pattern that five levels share outweighs another that two share."""
    other = np.flip(blob(32, seed=1))
    mask = segment([blob(32)] * 5 + [other] * 2 + [blob(4)], **SETTINGS)
    assert mask[10, 20]
    assert not mask[21, 11]


@pytest.mark.parametrize("sign", [1, -1])
def test_deepest_map_decides_the_sign(sign):
    """A component and its negative give the same mask: the side that the deepest map marks."""
    maps = [sign * blob(32)] * 7
    assert segment([*maps, blob(4)], **SETTINGS)[10, 20]
    outside = segment([*maps, blob(4).max() - blob(4)], **SETTINGS)
    assert not outside[10, 20]


@pytest.mark.parametrize("quantile", [0.5, 0.8, 0.9])
def test_area_is_what_the_quantile_leaves(quantile):
    """Without ties, exactly the pixels above the quantile's rank are foreground."""
    mask = segment(random_maps(0), sigma=7, quantile=quantile)
    assert mask.sum() == 32 * 32 - 1 - np.floor(quantile * (32 * 32 - 1))


@given(seed=st.integers(0, 1000), levels=st.integers(1, 255))
def test_mask_covers_at_most_a_fifth(seed, levels):
    """However many values are alike, the mask never exceeds the share above the quantile."""
    maps = [np.round(level * levels) for level in random_maps(seed)]
    # To the pixel: the quantile lies between two of them.
    assert segment(maps, **SETTINGS).sum() <= np.ceil(0.2 * 32 * 32)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_scale_and_offset_of_a_map_do_not_matter(seed, scale, shift):
    """Every map is scaled to 0…1 first, so that a level's units are of no consequence."""
    maps = random_maps(seed)
    changed = [scale * level + shift for level in maps]
    differing = segment(maps, **SETTINGS) != segment(changed, **SETTINGS)
    # Rounding may swap the two pixels at the threshold.
    assert differing.sum() <= 2


@given(seed=st.integers(0, 1000))
def test_published_steps_give_the_same_mask(seed):
    """The procedure step by step, with its rescaling over the foreground, gives this mask.

    Principal component by SVD of the centred maps; a random half of the image is foreground.
    """
    maps = random_maps(seed)
    foreground = np.random.default_rng(seed).random((32, 32)) > 0.5
    upsampled = []
    for level in maps:
        scaled = (level - level.min()) / (level.max() - level.min())
        upsampled.append(np.kron(scaled, np.ones((32 // len(level), 32 // len(level)))))
    values = np.stack([level.ravel() for level in upsampled[:7]], axis=1)
    values -= values.mean(axis=0)
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    component = (left[:, 0] * singular[0]).reshape(32, 32)
    inverted = np.average(component, weights=upsampled[7]) < 0
    inside = component[foreground & (upsampled[7] > 0)]
    component = (component - inside.min()) / np.ptp(inside)
    component = 1 - component if inverted else component
    component = gaussian_filter(component, 1, mode="nearest")
    expected = component > np.quantile(component, 0.8)
    assert (segment(maps, **SETTINGS) != expected).sum() <= 2


def test_upsampling_repeats_pixels():
    """Whole factors repeat each pixel; other sizes take the nearest one."""
    level = np.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(_scaled(level, (32, 32)), np.kron(level / 15, np.ones((8, 8))))
    # MICRA-Net's pooling drops the last row of odd sizes: 30 → 15 → 7 → 3.
    tensor = torch.tensor(level[:3, :3] / 10)[None, None]
    nearest = F.interpolate(tensor, (30, 30), mode="nearest-exact")[0, 0].numpy()
    np.testing.assert_allclose(_scaled(level[:3, :3], (30, 30)), nearest)


@pytest.mark.parametrize("constant", [slice(7, 8), slice(0, 7), slice(0, 8)])
def test_constant_maps_give_an_empty_mask(constant):
    """Where the deepest map, or all shallower ones, are constant, nothing is marked."""
    maps = random_maps(1)
    maps[constant] = [np.zeros_like(level) for level in maps[constant]]
    mask = segment(maps, **SETTINGS)
    assert mask.shape == (32, 32)
    assert mask.dtype == bool
    assert not mask.any()


def test_one_constant_level_is_ignored():
    """A shallow level without contrast adds nothing to the component, and breaks nothing."""
    maps = [blob(32)] * 6 + [blob(4)]
    with_constant = [np.full((32, 32), 3.0), *maps]
    np.testing.assert_array_equal(segment(with_constant, **SETTINGS), segment(maps, **SETTINGS))


def test_network_marks_what_it_was_taught():
    """A network that answers to red in the middle of an image marks the red square there."""
    model = build(2, 3)
    with torch.no_grad():
        for level in model.levels:
            level.conv.weight.zero_()
            level.conv.bias.zero_()
            level.conv.weight[0, 0, 1, 1] = 1.0
        model.fc.weight.zero_()
        model.fc.weight[1, 0] = 1.0
    x = torch.zeros(1, 3, 32, 32)
    x[:, 0, 8:16, 16:24] = 1.0
    mask = segment(level_maps(model.eval(), model.levels, x, 1), 0, 0.8)
    expected = np.zeros((32, 32), bool)
    expected[8:16, 16:24] = True
    np.testing.assert_array_equal(mask, expected)
