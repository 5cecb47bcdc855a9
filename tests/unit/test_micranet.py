"""MICRA-Net, the network: its layers, its head, its weights and its training."""

from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from segxai.job.log import InputError
from segxai.networks.classify import freeze, last_features, train_classifier
from segxai.networks.inputs import normalise
from segxai.networks.micranet import MicraNet
from segxai.networks.network import build_network
from segxai.networks.saving import save_weights
from segxai.networks.training import LabelledImages
from segxai.networks.weights import read_state_dict

SIDES = (32, 32, 16, 16, 8, 8, 4, 4)
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
    definition = {"method": "micranet", "pretrained": False, "weights": weights}
    return build_network(definition, 2, 3, seed)


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


def test_the_network_is_the_published_one():
    """Eight 3×3 convolutions of 32…256 channels, pooled thrice: 1.17 M body parameters for RGB."""
    model = MicraNet(5, 3)
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
    assert model.get_classifier().out_features == 5


def test_head_receives_the_global_maximum(network):
    """In evaluation the logits are linear in the maxima of the deepest activations."""
    features = network.forward_features(image(1))
    pooled = network.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, features.flatten(2).max(dim=2).values)
    torch.testing.assert_close(network(image(1)), network.fc(pooled))
    torch.testing.assert_close(last_features(network, image(1)), pooled)


def test_dropout_acts_in_training_alone():
    """In training, half of the head's input is zeroed and the rest doubled; nothing otherwise."""
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


def test_authors_checkpoint_receives_the_grey_image(tmp_path):
    """Their one-channel weights answer to RGB as they do to its mean over channels."""
    grey = MicraNet(3, 1).eval()
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
    """The study's training loop separates reddish from greenish patches, and ends in evaluation."""
    rng = np.random.default_rng(0)
    labels = np.arange(96) % 2
    pixels = rng.integers(60, 120, (96, 16, 16, 3))
    pixels[labels == 1, ..., 0] += 60
    pixels[labels == 0, ..., 1] += 60
    pixels = pixels.astype(np.uint8)
    device = torch.device("cpu")
    training, validation = (
        LabelledImages(pixels[part], labels[part], 16, device)
        for part in (slice(64), slice(64, 96))
    )
    model = build()
    to_input = partial(normalise, mean=[0.4] * 3, std=[0.2] * 3)
    history = train_classifier(model, training, validation, to_input, None, TRAINING, seed=1)
    assert history.validation_accuracy[history.validation_loss.idxmin()] >= 0.95
    x, y = next(validation.batches(32))
    assert not model.training
    assert (model(to_input(x)).argmax(dim=1) == y).float().mean() >= 0.95
