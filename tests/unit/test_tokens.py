"""The chain of TokenCut and MaskCut on one image, and the networks that it takes keys from."""

import json
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from segxai.networks.keys import key_features
from segxai.networks.network import Classifier, build_classifier
from segxai.segmenters import maskcut, tokencut

IMAGE = np.zeros((48, 48, 3), np.uint8)
IMAGE[8:24, 8:32] = 220
METHODS = {
    "tokencut": partial(tokencut.segment, tau=0.2),
    "maskcut": partial(maskcut.segment, tau=0.15, max_objects=3),
}
VIT = {
    "architecture": "vit_tiny_patch16_224",
    "arguments": {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2},
    "pretrained": False,
    "weights": None,
    "input_size": 32,
    "normalisation": "pretraining",
    "head_features": None,
}


def keys(labels: np.ndarray) -> np.ndarray:
    """Features (h, w, 4) of one direction per label."""
    return np.eye(4)[labels]


def block() -> np.ndarray:
    """Labels (6, 6) of the image's cells: 1 inside its bright block."""
    labels = np.zeros((6, 6), int)
    labels[1:3, 1:4] = 1
    return labels


@pytest.mark.parametrize("method", METHODS)
def test_block_is_found_at_the_pixels(method):
    """A block of tokens over a block of the image is the mask, to the pixel, by one defined cut."""
    mask, facts = METHODS[method](keys(block()), IMAGE)
    np.testing.assert_array_equal(mask, IMAGE[..., 0] > 0)
    assert facts["objects"] == 1
    assert facts["eigengap"] > 0.1
    assert (facts["dense"], facts["problem"]) == (0, "")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_cut_is_a_fact(method):
    """Equal keys give an empty mask, and the facts say why instead of passing it over."""
    mask, facts = METHODS[method](np.ones((6, 6, 4)), IMAGE)
    assert mask.shape == IMAGE.shape[:2]
    assert not mask.any()
    assert facts["objects"] == 0
    assert np.isnan(facts["eigengap"])
    assert "alike" in facts["problem"]


@pytest.mark.parametrize("method", METHODS)
def test_undefined_partitions_are_counted(method):
    """Three unlike blocks of one size have no eigengap: the dense solver cuts and is counted."""
    labels = np.repeat(np.arange(3), 32).reshape(12, 8)
    blank = np.zeros((96, 64, 3), np.uint8)
    mask, facts = METHODS[method](keys(labels), blank)
    assert mask.shape == (96, 64)
    assert facts["dense"] >= 1
    assert facts["eigengap"] < 1e-8


def test_published_network_brings_its_own_normalisation(tmp_path):
    """A body from a local file has the file's keys, and inputs are standardised as timm says."""
    torch.manual_seed(3)
    source = timm.create_model(VIT["architecture"], num_classes=0, **VIT["arguments"]).eval()
    path = tmp_path / "body.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    classifier = Classifier.published(VIT | {"weights": str(path)}, torch.device("cpu"))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    mean, std = (np.array(source.pretrained_cfg[key]) for key in ("mean", "std"))
    inputs = torch.from_numpy(((pixels / 255 - mean) / std).transpose(2, 0, 1)[None]).float()
    torch.testing.assert_close(classifier.inputs(pixels), inputs)
    torch.testing.assert_close(
        key_features(classifier.network, classifier.inputs(pixels)), key_features(source, inputs)
    )
    assert not any(parameter.requires_grad for parameter in classifier.network.parameters())


def test_trained_network_is_cut_at_another_size(tmp_path):
    """Weights trained at 32 px give the keys of 64 px inputs on a grid twice as fine."""
    trained = build_classifier(VIT["architecture"], VIT["arguments"], 2, False, None, seed=1)
    weights, statistics = tmp_path / "weights.safetensors", tmp_path / "statistics.json"
    safetensors.torch.save_file(trained.state_dict(), weights)
    statistics.write_text(json.dumps({"mean": [0.5] * 3, "std": [0.2] * 3}))
    larger = VIT | {
        "arguments": VIT["arguments"] | {"dynamic_img_size": True},
        "input_size": 64,
        "normalisation": "training",
    }
    classifier = Classifier.load(weights, statistics, larger, 2, torch.device("cpu"))
    found = key_features(classifier.network, classifier.inputs(IMAGE))
    assert found.shape == (1, 8, 8, 12)


@pytest.mark.parametrize(
    ("architecture", "side", "grid", "width"),
    [
        ("vit_small_patch16_224.dino", 448, 28, 384),
        ("vit_small_patch8_224.dino", 480, 60, 384),
        ("vit_base_patch8_224.dino", 480, 60, 768),
    ],
)
def test_published_networks_have_keys_at_published_sizes(architecture, side, grid, width):
    """DINO's networks give one key per patch at the sizes of TokenCut and MaskCut."""
    # One block has the shapes of twelve; the weights are random, since timm's hub may be away.
    network = timm.create_model(architecture, num_classes=0, dynamic_img_size=True, depth=1).eval()
    found = key_features(network, torch.rand(1, 3, side, side))
    assert found.shape == (1, grid, grid, width)
    assert network.pretrained_cfg["mean"] == (0.485, 0.456, 0.406)


def test_fused_attention_does_not_hide_the_keys():
    """Keys are the same whether the attention is computed by one fused kernel or step by step."""
    network = timm.create_model(VIT["architecture"], num_classes=0, **VIT["arguments"]).eval()
    image = torch.rand(1, 3, 32, 32)
    found = {}
    for fused in (True, False):
        for block in network.blocks:
            block.attn.fused_attn = fused
        found[fused] = key_features(network, image)
    torch.testing.assert_close(found[True], found[False])
    assert found[True].std() > 0
