"""MICRA-Net: the network under timm's interface, its maps against Captum and by hand, its mask."""

from functools import partial

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from captum.attr import LayerGradCam
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional as F

from segxai.explainers.grad_cam import level_maps
from segxai.job.log import InputError
from segxai.networks.inputs import normalise
from segxai.networks.network import build_classifier
from segxai.networks.saving import save_weights
from segxai.networks.training import Patches, _features, freeze, train_classifier
from segxai.networks.weights import read_state_dict
from segxai.segmenters.micranet import _scaled, micranet_mask

SIDES = (32, 32, 16, 16, 8, 8, 4, 4)
# One pixel of a map of 32.
SETTINGS = {"sigma": 7, "quantile": 0.8}
TRAINING = {
    "loss": "cross_entropy",
    "optimiser": "adamw",
    "learning_rate": 0.001,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "decay_every": 10,
    "decay_after": 0,
    "decay_factor": 0.1,
    "epochs": 6,
    "patience": None,
    "batch_size": 16,
    "augmentation": {"flip": 0.5, "jitter": 0.1, "rotation": 15},
    "cached_views": None,
}


def build(weights: str | None = None, seed: int = 0) -> nn.Module:
    """Build MICRA-Net with two classes as the study does."""
    return build_classifier("micranet", {}, 2, False, weights, seed)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a frozen network whose norm layers have seen data, as after training."""
    model = build()
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


def test_timm_builds_the_published_network():
    """Eight 3×3 convolutions of 32…256 channels, pooled thrice: 1.17 M body parameters for RGB."""
    model = timm.create_model("micranet", num_classes=5, in_chans=3)
    convolutions = [part for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert [part.out_channels for part in convolutions] == [32, 32, 64, 64, 128, 128, 256, 256]
    assert {part.kernel_size for part in convolutions} == {(3, 3)}
    shapes = [tuple(level.shape[1:]) for level in model.levels(image(0))]
    widths = (32, 32, 64, 64, 128, 128, 256, 256)
    assert shapes == [(w, side, side) for w, side in zip(widths, SIDES, strict=True)]
    weights = [3 * 32, 32**2, 32 * 64, 64**2, 64 * 128, 128**2, 128 * 256, 256**2]
    norms_and_biases = 3 * 2 * (32 + 64 + 128 + 256)
    head = 256 * 5 + 5
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == 9 * sum(weights) + norms_and_biases + head
    assert model.pretrained_cfg["classifier"] == "fc"
    assert model.get_classifier().out_features == 5


def test_head_sees_the_global_maximum(network):
    """In evaluation the logits are linear in the maxima of the deepest activations."""
    features = network.forward_features(image(1))
    pooled = network.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, features.flatten(2).max(dim=2).values)
    torch.testing.assert_close(network(image(1)), network.fc(pooled))
    torch.testing.assert_close(_features(network, image(1)), pooled)


def test_dropout_acts_in_training_alone():
    """Half of what the head sees is zeroed in training, the rest doubled; nothing otherwise."""
    model = build()
    features = torch.ones(1, 256, 2, 2)
    seen = model.train().forward_head(features, pre_logits=True)
    assert set(seen.unique().tolist()) == {0.0, 2.0}
    assert 0.3 < (seen == 0).float().mean() < 0.7
    assert model.eval().forward_head(features, pre_logits=True).unique().tolist() == [1.0]


def test_weights_survive_a_round_trip(tmp_path, network):
    """What the study saves gives the same logits when loaded, statistics of the norms included."""
    path = tmp_path / "weights.safetensors"
    save_weights(network, path)
    loaded = build(seed=3)
    loaded.load_state_dict(read_state_dict(path))
    torch.testing.assert_close(loaded.eval()(image(2)), network(image(2)), rtol=0, atol=0)


def test_local_checkpoint_gives_the_body(tmp_path, network):
    """`weights` loads every level from a file of this study; the head starts afresh."""
    path = tmp_path / "body.safetensors"
    save_weights(network, path)
    model = build(str(path), seed=4).eval()
    torch.testing.assert_close(
        model.forward_features(image(3)), network.forward_features(image(3)), rtol=0, atol=0
    )
    assert not torch.equal(model.fc.weight, network.fc.weight)
    freeze(model, 0)
    assert sum(parameter.requires_grad for parameter in model.parameters()) == 2


def authors_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a grey network under the names of the authors' checkpoints."""
    state = {"linear1.weight": torch.zeros(3, 256), "linear1.bias": torch.zeros(3)}
    for level, layers in network.levels.named_children():
        for name, part in (("conv", layers.conv), ("bnorm", layers.norm)):
            state |= {f"{name}{level}.{key}": value for key, value in part.state_dict().items()}
    return state


def test_authors_checkpoint_sees_the_grey_image(tmp_path):
    """Their one-channel weights answer to RGB as they do to its mean over channels."""
    grey = timm.create_model("micranet", num_classes=3, in_chans=1).eval()
    path = tmp_path / "actin.safetensors"
    safetensors.torch.save_file(authors_state(grey), path)
    model = build(str(path)).eval()
    x = image(4)
    torch.testing.assert_close(
        model.forward_features(x), grey.forward_features(x.mean(dim=1, keepdim=True))
    )


def test_checkpoint_of_another_network_is_refused(tmp_path):
    """A file that lacks a level names the tensor and the keys to correct."""
    state = authors_state(build())
    del state["conv3b.weight"]
    path = tmp_path / "part.safetensors"
    safetensors.torch.save_file(state, path)
    with pytest.raises(InputError, match=r"levels\.3b\.conv\.weight is missing.*architecture"):
        build(str(path))


def test_training_learns_a_colour():
    """The study's training loop tells reddish from greenish patches, and ends in evaluation."""
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 2
    pixels = rng.integers(60, 120, (96, 16, 16, 3))
    pixels[labels == 1, ..., 0] += 60
    pixels[labels == 0, ..., 1] += 60
    pixels = pixels.astype(np.uint8)
    device = torch.device("cpu")
    training, validation = (
        Patches(pixels[part], labels[part], 16, device) for part in (slice(64), slice(64, 96))
    )
    model = build()
    to_input = partial(normalise, mean=[0.4] * 3, std=[0.2] * 3)
    history = train_classifier(model, training, validation, to_input, None, TRAINING, seed=1)
    assert history.validation_accuracy[history.validation_loss.idxmin()] >= 0.95
    x, y = next(validation.batches(32))
    assert not model.training
    assert (model(to_input(x)).argmax(dim=1) == y).float().mean() >= 0.95


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
    """Explaining neither asks for gradients of the weights nor changes logits afterwards."""
    before = network(image(7))
    x = image(7)
    level_maps(network, network.levels, x, 0)
    assert not x.requires_grad
    assert not any(p.requires_grad or p.grad is not None for p in network.parameters())
    torch.testing.assert_close(network(image(7)), before, rtol=0, atol=0)


def test_planted_component_is_found():
    """Where all levels show one blob, the mask is the brightest fifth of the smoothed blob."""
    maps = [(depth + 1) * blob(32) for depth in range(7)] + [blob(4)]
    mask = micranet_mask(maps, **SETTINGS)
    smooth = gaussian_filter(blob(32), 1, mode="nearest")
    np.testing.assert_array_equal(mask, smooth > np.quantile(smooth, 0.8))
    assert mask[10, 20]


def test_dominant_pattern_wins():
    """A pattern that five levels share outweighs another that two share."""
    other = np.flip(blob(32, seed=1))
    mask = micranet_mask([blob(32)] * 5 + [other] * 2 + [blob(4)], **SETTINGS)
    assert mask[10, 20]
    assert not mask[21, 11]


@pytest.mark.parametrize("sign", [1, -1])
def test_deepest_map_decides_the_sign(sign):
    """A component and its negative give the same mask: the side that the deepest map marks."""
    maps = [sign * blob(32)] * 7
    assert micranet_mask([*maps, blob(4)], **SETTINGS)[10, 20]
    outside = micranet_mask([*maps, blob(4).max() - blob(4)], **SETTINGS)
    assert not outside[10, 20]


@pytest.mark.parametrize("quantile", [0.5, 0.8, 0.9])
def test_area_is_what_the_quantile_leaves(quantile):
    """Without ties, exactly the pixels above the quantile's rank are foreground."""
    mask = micranet_mask(random_maps(0), sigma=7, quantile=quantile)
    assert mask.sum() == 32 * 32 - 1 - np.floor(quantile * (32 * 32 - 1))


@given(seed=st.integers(0, 1000), levels=st.integers(1, 255))
def test_mask_covers_at_most_a_fifth(seed, levels):
    """However many values are alike, the mask never exceeds the share above the quantile."""
    maps = [np.round(level * levels) for level in random_maps(seed)]
    # To the pixel: the quantile lies between two of them.
    assert micranet_mask(maps, **SETTINGS).sum() <= np.ceil(0.2 * 32 * 32)


@given(seed=st.integers(0, 1000), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_scale_and_offset_of_a_map_do_not_matter(seed, scale, shift):
    """Every map is scaled to 0…1 first, so that a level's units are of no consequence."""
    maps = random_maps(seed)
    changed = [scale * level + shift for level in maps]
    differing = micranet_mask(maps, **SETTINGS) != micranet_mask(changed, **SETTINGS)
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
    assert (micranet_mask(maps, **SETTINGS) != expected).sum() <= 2


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
    mask = micranet_mask(maps, **SETTINGS)
    assert mask.shape == (32, 32)
    assert mask.dtype == bool
    assert not mask.any()


def test_one_constant_level_is_ignored():
    """A shallow level without contrast adds nothing to the component, and breaks nothing."""
    maps = [blob(32)] * 6 + [blob(4)]
    with_constant = [np.full((32, 32), 3.0), *maps]
    np.testing.assert_array_equal(
        micranet_mask(with_constant, **SETTINGS), micranet_mask(maps, **SETTINGS)
    )


def test_network_marks_what_it_was_taught():
    """A network that answers to red in the middle of an image marks the red square there."""
    model = build()
    with torch.no_grad():
        for level in model.levels:
            level.conv.weight.zero_()
            level.conv.bias.zero_()
            level.conv.weight[0, 0, 1, 1] = 1.0
        model.fc.weight.zero_()
        model.fc.weight[1, 0] = 1.0
    x = torch.zeros(1, 3, 32, 32)
    x[:, 0, 8:16, 16:24] = 1.0
    mask = micranet_mask(level_maps(model.eval(), model.levels, x, 1), 0, 0.8)
    expected = np.zeros((32, 32), bool)
    expected[8:16, 16:24] = True
    np.testing.assert_array_equal(mask, expected)
