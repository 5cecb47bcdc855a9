"""Classifiers: preprocessing, local weights, training."""

import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from segxai.explain.target import Label
from segxai.job.log import InputError
from segxai.networks.augment import augment
from segxai.networks.classify import (
    LOSSES,
    class_probabilities,
    classification_scores,
    freeze,
    last_features,
    train_classifier,
)
from segxai.networks.inputs import channel_statistics, intensities, normalise
from segxai.networks.network import Network, build_network
from segxai.networks.saving import save_weights
from segxai.networks.training import LabelledImages, fit
from segxai.networks.weights import load_backbone, read_state_dict
from tests.unit.toy_networks import CPU, FRESH, timm_network

ARCHITECTURE = "vit_tiny_patch16_224"
ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
TRAINING = {
    "loss": "cross_entropy",
    "optimiser": "adamw",
    "learning_rate": 0.003,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "decay_every": 50,
    "decay_after": 0,
    "decay_factor": 0.1,
    "epochs": 12,
    "patience": None,
    "batch_size": 16,
    "augmentation": {"flip": 0.5, "jitter": 0.1, "rotation": 15},
    "cached_views": None,
}


def tiny(seed: int = 0, **changes):
    """Build a tiny ViT with two classes."""
    return timm_network(ARCHITECTURE, seed=seed, arguments=ARGUMENTS | changes)


def test_probabilities_are_a_softmax_or_a_sigmoid_each():
    """Classes that exclude each other share one; labels that may share an image do not."""
    p = torch.tensor([[0.3, 0.7], [0.9, 0.1]], dtype=torch.float64)
    np.testing.assert_allclose(class_probabilities(p.log(), "cross_entropy"), p)
    for loss in ("bce", "paper_code"):
        np.testing.assert_allclose(class_probabilities((p / 2).logit(), loss), p / 2)


def test_channel_statistics_of_a_pretraining():
    """They come from timm, or else from ImageNet; other channels have their mean."""
    known = {"architecture": "tf_efficientnet_lite0", "normalisation": "pretraining"}
    assert channel_statistics(known, None, 3) == {"mean": [0.5] * 3, "std": [0.5] * 3}
    for definition in ({}, {"architecture": "resnet50.tv_in1k"}):
        statistics = channel_statistics(definition | {"normalisation": "pretraining"}, None, 3)
        assert statistics["mean"] == [0.485, 0.456, 0.406]
    grey = channel_statistics({"normalisation": "pretraining"}, None, 1)
    assert grey["mean"] == pytest.approx([0.449])


def test_channel_statistics_of_the_training_images(tmp_path):
    """Of what the file holds, mean and deviation alone: they are what `normalise` takes."""
    file = tmp_path / "statistics.json"
    file.write_text('{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "n_images": 7}')
    channel = channel_statistics({"normalisation": "training"}, str(file), 3)
    assert normalise(torch.full((1, 3, 1, 1), 0.5), **channel)[0, 0, 0, 0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)]
)
def test_images_of_every_depth_have_the_same_intensities(dtype, full):
    """Full range is 1 for whole numbers; floats are intensities already; any number of channels."""
    values = np.array([0, 0.2, 1, 0.6, 0.4]) * full
    images = np.broadcast_to(values.astype(dtype), (2, 4, 4, 5))
    network = Network(torch.nn.Identity(), "classify", 8, [0.5] * 5, [0.25] * 5, CPU)
    inputs = network.inputs(images)
    assert inputs.shape == (2, 5, 8, 8)
    expected = torch.tensor([-2.0, -1.2, 2.0, 0.4, -0.4])
    torch.testing.assert_close(inputs[1, :, 3, 3], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(network.black(), torch.full((1, 5, 8, 8), -2.0))


def test_bfloat16_stays_within_its_precision():
    """A score is the logit of its class; under autocast it is that up to rounding."""
    module = tiny().eval().requires_grad_(False)
    network = Network(module, "classify", 32, [0.5] * 3, [0.2] * 3, CPU)
    x = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = [Label(1), Label(0), Label(1), Label(1)]
    exact = network.score()(x, targets)
    torch.testing.assert_close(exact, module(x)[range(4), [1, 0, 1, 1]])
    reduced = replace(network, precision="bfloat16").score()(x, targets)
    assert reduced.dtype == torch.float32
    torch.testing.assert_close(reduced, exact, atol=0.03, rtol=0.05)


def test_normalised_intensities_of_known_pixels():
    """(pixel / 255 − mean) / std per channel, channels first."""
    pixels = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    x = normalise(intensities(pixels, 1), [0.0, 0.2, 0.5], [1.0, 0.5, 0.25])
    torch.testing.assert_close(x.flatten(), torch.tensor([0.0, 0.0, 2.0]))


def test_augmentation_is_reproducible_and_stays_in_range():
    """The same generator state gives the same patches, in 0…1; zero strength changes nothing."""
    x = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    first, second = (
        augment(x, 3, 0.5, 0.2, 15, torch.Generator().manual_seed(3)) for _ in range(2)
    )
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not torch.equal(first, x)
    assert 0 <= first.min() <= first.max() <= 1
    torch.testing.assert_close(augment(x, 3, 0, 0, 0, torch.Generator()), x)
    torch.testing.assert_close(augment(x, 3, 1, 0, 0, torch.Generator()), x.flip(-1))


def test_seed_decides_the_initial_weights_and_leaves_the_global_generator_alone():
    """One seed, one network; the global random state is untouched."""
    state = torch.random.get_rng_state()
    a, b, c = tiny(1), tiny(1), tiny(2)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(a.head.weight, b.head.weight)
    assert not torch.equal(a.head.weight, c.head.weight)


@pytest.mark.parametrize(
    ("blocks", "trained"), [(0, {"head"}), (1, {"head", "norm", "blocks.1"}), (None, None)]
)
def test_only_the_requested_blocks_are_trained(blocks, trained):
    """A linear probe trains the head alone; n blocks add the last n and the norm after them."""
    model = tiny()
    freeze(model, blocks)
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    if trained is None:
        assert names == {name for name, _ in model.named_parameters()}
    else:
        assert {name.rsplit(".", 1)[0] for name in names if "blocks" not in name} | {
            ".".join(name.split(".")[:2]) for name in names if "blocks" in name
        } == trained


def test_more_blocks_than_there_are_is_refused():
    """Asking for more blocks than the model has names the key and the number."""
    with pytest.raises(InputError, match="unfreeze_blocks"):
        freeze(tiny(), 3)


def test_blocks_of_a_convolutional_network_are_refused():
    """Its norms lie within them: the head alone or the whole network can be trained."""
    with pytest.raises(InputError, match=r"unfreeze_blocks: 2.*set 0 .* or null"):
        freeze(timm_network("tf_efficientnet_lite0"), 2)


def coloured_patches(n: int, seed: int) -> LabelledImages:
    """LabelledImages that are reddish (class 1) or greenish (class 0), with noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    pixels = rng.integers(60, 120, (n, 32, 32, 3))
    pixels[labels == 1, ..., 0] += 60
    pixels[labels == 0, ..., 1] += 60
    return LabelledImages(pixels.astype(np.uint8), labels, 32, torch.device("cpu"))


@pytest.mark.parametrize(("blocks", "views"), [(None, None), (0, None), (0, 3)])
def test_training_learns_a_colour_and_keeps_the_best_epoch(blocks, views):
    """All three ways of training separate two colours, and end in the epoch of least loss."""
    model = tiny()
    validation = coloured_patches(40, 1)
    to_input = partial(normalise, mean=[0.4] * 3, std=[0.2] * 3)
    settings = TRAINING | {"cached_views": views}
    history = train_classifier(
        model, coloured_patches(96, 0), validation, to_input, blocks, settings, seed=1
    )
    with torch.no_grad():
        x, y = next(validation.batches(40))
        scores = classification_scores(model(to_input(x)), y)
    assert len(history) == 12
    assert scores["loss"] == pytest.approx(history.validation_loss.min(), rel=1e-4)
    assert scores["accuracy"] >= 0.95


@pytest.mark.parametrize("views", [None, 2])
def test_a_probe_of_a_convolutional_network_leaves_its_body_alone(views):
    """Only the head moves, to the bit: statistics of batch norms stay those of the pretraining."""
    model = timm_network("tf_efficientnet_lite0")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    settings = TRAINING | {"epochs": 3, "cached_views": views}
    subsets = coloured_patches(32, 0), coloured_patches(16, 1)
    history = train_classifier(model, *subsets, lambda x: x, 0, settings, seed=1)
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) != name.startswith("classifier")


def test_cached_features_keep_nothing_else_alive():
    """The features of a batch own no more memory than they hold."""
    features = last_features(tiny(), torch.rand(4, 3, 32, 32))
    assert features.untyped_storage().nbytes() == features.numel() * features.element_size()


def test_training_is_reproducible():
    """The same seed gives the same history to the last digit, whatever was drawn before."""
    histories = []
    for earlier_draws in (1, 2):
        torch.manual_seed(earlier_draws)
        model = tiny(patch_drop_rate=0.5, drop_rate=0.2)
        patches = coloured_patches(32, 0), coloured_patches(16, 1)
        settings = TRAINING | {"epochs": 2}
        histories.append(train_classifier(model, *patches, lambda x: x, None, settings, seed=4))
    assert histories[0].equals(histories[1])


@pytest.mark.parametrize("loss", LOSSES)
def test_diverging_training_is_stopped_with_a_sentence(loss):
    """A loss or weight of NaN ends the run and names the learning rate."""
    settings = TRAINING | {"optimiser": "sgd", "learning_rate": 1e38, "loss": loss}
    with pytest.raises(InputError, match="learning_rate"):
        train_classifier(
            tiny(), coloured_patches(32, 0), coloured_patches(16, 1), lambda x: x, None, settings, 0
        )


def constant_fit(losses: list[float], **changes):
    """Train a single weight with given validation losses, one for each epoch."""
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    epochs = ([(torch.ones(1, 1), None)] for _ in losses)
    remaining = iter(losses)
    settings = TRAINING | {"optimiser": "sgd", "momentum": 0.0, "learning_rate": 1.0} | changes
    history = fit(
        model,
        epochs,
        lambda x, _: -model(x).sum(),
        lambda: {"loss": next(remaining)},
        settings | {"epochs": len(losses)},
        seed=0,
    )
    return history, model.weight.item()


def test_learning_rate_decays_after_the_warm_up():
    """SegX's schedule: the first rate for warm-up and one more epoch, then × 0.95 per epoch."""
    changes = {"decay_every": 1, "decay_factor": 0.95, "decay_after": 10}
    history, _ = constant_fit([1.0] * 14, **changes)
    expected = [1.0] * 11 + [0.95, 0.95**2, 0.95**3]
    np.testing.assert_allclose(history.learning_rate, expected)
    history, _ = constant_fit([1.0] * 5, decay_every=2, decay_factor=0.1, decay_after=0)
    np.testing.assert_allclose(history.learning_rate, [1, 1, 0.1, 0.1, 0.01])


@pytest.mark.parametrize(("patience", "ran"), [(2, 5), (3, 8), (None, 8)])
def test_training_stops_when_validation_no_longer_improves(patience, ran):
    """It ends `patience` epochs after the best one, whose weights are kept."""
    losses = [3.0, 2.0, 1.0, 1.0, 1.5, 0.5, 0.6, 0.7]
    changes = {"decay_every": 100, "decay_after": 0, "patience": patience}
    history, weight = constant_fit(losses, **changes)
    assert len(history) == ran
    # Each epoch adds the learning rate of 1 to the weight.
    assert weight == history.validation_loss.idxmin() + 1


def test_losses_of_known_logits():
    """One image of two classes, the second present: each loss worked out by hand."""
    logits, labels = torch.tensor([[0.5, -1.0]]), torch.tensor([[0, 1]])
    p = 1 / (1 + np.exp([-0.5, 1.0]))
    expected = {
        "cross_entropy": np.log(1 + np.exp(1.5)),
        "bce": -(np.log(1 - p[0]) + np.log(p[1])) / 2,
        "paper_code": np.log(1 + np.exp(p[0] - p[1])),
    }
    for name, value in expected.items():
        assert LOSSES[name](logits, torch.tensor([1])).item() == pytest.approx(value, rel=1e-6)
        if name != "cross_entropy":
            assert LOSSES[name](logits, labels).item() == pytest.approx(value, rel=1e-6)


def test_losses_of_an_image_without_finding():
    """All-zero labels cost BCE what the logits claim, and the paper's loss nothing at all."""
    logits, none = torch.tensor([[0.0, 0.0]]), torch.tensor([[0, 0]])
    assert LOSSES["bce"](logits, none).item() == pytest.approx(np.log(2))
    assert LOSSES["paper_code"](logits, none).item() == 0


@pytest.mark.parametrize("loss", ["bce", "paper_code"])
def test_classes_that_share_an_image_are_learnt(loss):
    """Red and green patches, patches with both and with neither: each class is recognised."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (160, 2))
    pixels = rng.integers(60, 120, (160, 32, 32, 3))
    pixels[..., :2] += 60 * labels[:, None, None]
    patches = [
        LabelledImages(pixels[part].astype(np.uint8), labels[part], 32, torch.device("cpu"))
        for part in (slice(0, 96), slice(96, 160))
    ]
    to_input = partial(normalise, mean=[0.4] * 3, std=[0.2] * 3)
    model = tiny()
    history = train_classifier(model, *patches, to_input, None, TRAINING | {"loss": loss}, seed=1)
    best = history.loc[history.validation_loss.idxmin()]
    assert min(best.validation_auroc, best.validation_f1) > (0.95 if loss == "bce" else 0.75)
    x, y = next(patches[1].batches(64))
    with torch.no_grad():
        again = LOSSES[loss](model(to_input(x)), y).item()
    assert again == pytest.approx(best.validation_loss, rel=1e-4)


def test_class_indices_train_sigmoids_as_one_hot_labels_do():
    """To a sigmoid loss a class index stands for the one class that it names."""
    histories = []
    for one_hot in (False, True):
        pair = coloured_patches(32, 0), coloured_patches(16, 1)
        for patches in pair if one_hot else ():
            patches.labels = np.eye(2, dtype=np.int64)[patches.labels]
        settings = TRAINING | {"loss": "bce", "epochs": 2}
        histories.append(train_classifier(tiny(), *pair, lambda x: x, None, settings, seed=4))
    assert histories[0].equals(histories[1])


@pytest.mark.parametrize(
    ("architecture", "width"), [("resnet50", 2048), ("densenet121", 1024), ("convnext_atto", 320)]
)
def test_segx_head_has_a_hidden_layer(architecture, width):
    """Linear(·, 256)–ReLU–Linear on the pooled features, where timm has its Linear, and seeded."""
    model, again = (timm_network(architecture, 7, seed=3, head_features=256) for _ in range(2))
    head = model.get_classifier()
    shapes = [tuple(parameter.shape) for parameter in head.parameters()]
    assert shapes == [(256, width), (256,), (7, 256), (7,)]
    assert isinstance(head[1], torch.nn.ReLU)
    assert torch.equal(head[2].weight, again.get_classifier()[2].weight)
    with torch.no_grad():
        x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        pooled = last_features(model.eval(), x)
        by_hand = head[2].weight @ (head[0].weight @ pooled[0] + head[0].bias).relu() + head[2].bias
        torch.testing.assert_close(model(x)[0], by_hand, rtol=1e-4, atol=1e-5)
    freeze(model, 0)
    assert sum(p.requires_grad for p in model.parameters()) == 4


def test_weights_of_the_body_fit_under_another_head(tmp_path):
    """`weights` gives the body, whatever head its file has; a saved deep head is read back."""
    path, card = tmp_path / "resnet.safetensors", tmp_path / "card.json"
    card.write_text('{"outputs": 5}')
    deep = timm_network("resnet10t", 5, seed=1, head_features=8)
    save_weights(deep, path)
    plain = timm_network("resnet10t", seed=2, weights=str(path))
    assert torch.equal(plain.conv1[0].weight, deep.conv1[0].weight)
    definition = {"method": "timm_classifier", "architecture": "resnet10t", "arguments": {}}
    definition |= {"input_size": 32, "normalisation": "pretraining"} | FRESH
    loaded = Network.load(path, card, None, definition | {"head_features": 8}, 3, CPU)
    assert loaded.task == "classify"
    assert torch.equal(loaded.module.fc[2].weight, deep.fc[2].weight)
    with pytest.raises(InputError, match="not weights of timm_classifier with 5 outputs"):
        Network.load(path, card, None, definition | {"head_features": None}, 3, CPU)


@pytest.mark.parametrize("channels", [1, 4])
def test_weights_for_rgb_are_adapted_to_other_channels(tmp_path, channels):
    """As timm does it: summed for one channel, repeated and rescaled for more."""
    path = tmp_path / "rgb.safetensors"
    save_weights(timm_network("resnet10t", seed=1), path)
    definition = {"method": "timm_classifier", "architecture": "resnet10t", "arguments": {}}
    definition |= {"head_features": None, "pretrained": False, "weights": str(path)}
    adapted = build_network(definition, 2, channels, seed=2).conv1[0].weight
    rgb = read_state_dict(path)["conv1.0.weight"]
    if channels == 1:
        expected = rgb.sum(dim=1, keepdim=True)
    else:
        expected = torch.cat([rgb, rgb[:, :1]], dim=1) * 3 / 4
    torch.testing.assert_close(adapted, expected)


def dino_names(state: dict) -> dict:
    """Put weights into the form of DINO's full checkpoint."""
    return {
        "teacher": {f"module.backbone.{key}": value for key, value in state.items()},
        "epoch": 1,
    }


@pytest.mark.parametrize("form", ["safetensors", "torch", "dino"])
def test_local_weights_are_read_in_every_form(tmp_path, form):
    """The body is loaded from safetensors, a state dict, or DINO's checkpoint; the head is new."""
    source, path = tiny(1), tmp_path / f"body.{'safetensors' if form == 'safetensors' else 'pth'}"
    state = source.state_dict()
    if form == "safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save(dino_names(state) if form == "dino" else state, path)
    model = timm_network(
        ARCHITECTURE, seed=2, arguments=ARGUMENTS, pretrained=True, weights=str(path)
    )
    assert torch.equal(model.blocks[1].mlp.fc1.weight, source.blocks[1].mlp.fc1.weight)
    assert not torch.equal(model.head.weight, source.head.weight)


def test_position_embeddings_are_resampled_to_the_grid(tmp_path):
    """Weights of another input size fit: their position embeddings are interpolated."""
    path = tmp_path / "large.safetensors"
    safetensors.torch.save_file(tiny(1, img_size=64).state_dict(), path)
    model = timm_network(ARCHITECTURE, seed=2, arguments=ARGUMENTS, weights=str(path))
    assert model.pos_embed.shape == (1, 17, 48)


class Malicious:
    """An object whose unpickling would run code."""

    def __reduce__(self):
        return (print, ("code from a weights file ran",))


def test_pickled_code_is_not_run(tmp_path, capsys):
    """A torch file that holds more than tensors is refused without running it."""
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"model": Malicious()}))
    with pytest.raises(InputError, match=r"evil\.pth"):
        read_state_dict(path)
    torch.save({"weight": torch.ones(2), "extra": Malicious()}, path)
    with pytest.raises(InputError, match="safetensors"):
        read_state_dict(path)
    assert "ran" not in capsys.readouterr().out


def test_broken_weights_get_one_sentence(tmp_path):
    """Missing, truncated, empty and non-finite files each name the file and the remedy."""
    with pytest.raises(InputError, match="no such weights file"):
        read_state_dict(tmp_path / "absent.pth")
    good = tmp_path / "good.safetensors"
    safetensors.torch.save_file(tiny().state_dict(), good)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.safetensors.*download it again"):
        read_state_dict(cut)
    zero = tmp_path / "zero.pth"
    zero.touch()
    with pytest.raises(InputError, match=r"zero\.pth"):
        read_state_dict(zero)
    torch.save({"epoch": 3}, zero)
    with pytest.raises(InputError, match="holds no tensors"):
        read_state_dict(zero)
    torch.save({"a": torch.tensor([1.0, float("nan")])}, zero)
    with pytest.raises(InputError, match="NaN"):
        read_state_dict(zero)


def test_weights_of_another_architecture_are_refused():
    """Missing or misshapen tensors of the body name the first one and the keys to correct."""
    with pytest.raises(InputError, match="architecture"):
        load_backbone(tiny(), tiny(embed_dim=96).state_dict(), "wide.safetensors")
    incomplete = tiny().state_dict()
    del incomplete["blocks.1.mlp.fc1.weight"]
    with pytest.raises(InputError, match=r"blocks\.1\.mlp\.fc1\.weight is missing"):
        load_backbone(tiny(), incomplete, "part.safetensors")


def test_unknown_architecture_and_argument_are_refused():
    """A model or argument unknown to timm gives one sentence."""
    with pytest.raises(InputError, match="timm has no 'vit_smol'"):
        timm_network("vit_smol")
    with pytest.raises(InputError, match="arguments"):
        timm_network(ARCHITECTURE, arguments={"image_size": 64})


def test_default_model_has_dinos_shape():
    """The paper's backbone: ViT-S/16 with 21.7 M parameters, with a download in timm."""
    model = timm_network("vit_small_patch16_224.dino")
    body = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("head"))
    assert round(body / 1e6, 1) == 21.7
    assert "dino_deitsmall16_pretrain" in model.pretrained_cfg["url"]


@pytest.mark.real
def test_real_vit_weights_load(shared):
    """The real ViT-S/14 file loads whole, its position embedding resampled from 37² to 16²."""
    path = shared / "weights" / "vit_small_patch14_saliency.fp16.safetensors"
    model = timm_network("vit_small_patch14_dinov2", arguments={"img_size": 224}, weights=str(path))
    state = read_state_dict(path)
    assert torch.equal(model.blocks[5].attn.qkv.weight, state["blocks.5.attn.qkv.weight"])
    assert model.pos_embed.shape == (1, 257, 384)
