"""TokenCut and MaskCut on one image, and what segmenters read of networks."""

import json
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
from torch.nn import functional as F

from segxai.networks.keys import key_features
from segxai.networks.network import Network, build_network
from segxai.segmenters import maskcut, network_inputs, tokencut
from segxai.segmenters.network_inputs import load_network

IMAGE = np.zeros((48, 48, 3), np.uint8)
IMAGE[8:24, 8:32] = 220
METHODS = {
    "tokencut": partial(tokencut.segment, tau=0.2),
    "maskcut": partial(maskcut.segment, tau=0.15, max_objects=3),
}
VIT = {
    "method": "timm_classifier",
    "architecture": "vit_tiny_patch16_224",
    "arguments": {"img_size": 32, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2},
    "pretrained": False,
    "weights": None,
    "input_size": 32,
    "normalisation": "pretraining",
    "head_features": None,
}
CPU = torch.device("cpu")


def keys(labels: np.ndarray) -> np.ndarray:
    """Features (h, w, 4) of one direction per label."""
    return np.eye(4)[labels]


def block() -> np.ndarray:
    """Labels (6, 6) of the image's cells: 1 inside its bright block."""
    labels = np.zeros((6, 6), int)
    labels[1:3, 1:4] = 1
    return labels


@pytest.mark.parametrize("method", METHODS)
def test_block_is_cut_at_the_pixels(method):
    """A block of tokens over a block of the image is the mask, to the pixel, by one defined cut."""
    mask, facts = METHODS[method](keys(block()), IMAGE)
    np.testing.assert_array_equal(mask, IMAGE[..., 0] > 0)
    assert facts["objects"] == 1
    assert facts["eigengap"] > 0.1
    assert (facts["dense"], facts["problem"]) == (0, "")


@pytest.mark.parametrize("method", METHODS)
def test_nothing_to_cut_is_a_fact(method):
    """Equal keys give an empty mask, and the facts give the reason."""
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
    """A body from a local file has the file's keys; inputs are standardised by timm's values."""
    torch.manual_seed(3)
    source = timm.create_model(VIT["architecture"], num_classes=0, **VIT["arguments"]).eval()
    path = tmp_path / "body.safetensors"
    safetensors.torch.save_file(source.state_dict(), path)
    network = load_network(VIT | {"weights": str(path)}, None, None, 3, CPU)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    mean, std = (np.array(source.pretrained_cfg[key]) for key in ("mean", "std"))
    inputs = torch.from_numpy(((image / 255 - mean) / std).transpose(2, 0, 1)[None]).float()
    torch.testing.assert_close(network.inputs(image[None]), inputs)
    expected = key_features(source, inputs)[0].numpy()
    np.testing.assert_allclose(network_inputs.keys(network, image, False), expected, rtol=1e-4)
    assert not any(parameter.requires_grad for parameter in network.module.parameters())


def test_trained_network_is_cut_at_another_size(tmp_path):
    """Weights trained at 32 px give the keys of 64 px inputs on a grid twice as fine."""
    trained = build_network(VIT, outputs=2, channels=3, seed=1)
    weights, statistics, card = (tmp_path / name for name in ("w.safetensors", "s.json", "c.json"))
    safetensors.torch.save_file(trained.state_dict(), weights)
    statistics.write_text(json.dumps({"mean": [0.5] * 3, "std": [0.2] * 3}))
    card.write_text(json.dumps({"outputs": 2}))
    definition = VIT | {"normalisation": "training"}
    files = tuple(map(str, (weights, card, statistics)))
    network = load_network(definition, 64, files, 3, CPU)
    keys = network_inputs.keys(network, IMAGE, centre=True)
    assert keys.shape == (8, 8, 12)
    np.testing.assert_allclose(keys.mean(axis=(0, 1)), 0, atol=1e-5)


def test_probabilities_are_a_segmenters_at_the_size_of_the_image():
    """Logits are resized bilinearly before the sigmoid, one map for each output channel."""
    module = torch.nn.Conv2d(3, 2, 1).requires_grad_(False)
    network = Network(module, "segment", 16, [0.0] * 3, [1.0] * 3, CPU)
    probability = network_inputs.probabilities(network, IMAGE)
    logits = module(network.inputs(IMAGE[None]))
    full = F.interpolate(logits, (48, 48), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(probability, full.sigmoid()[0].numpy())


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
    keys = key_features(network, torch.rand(1, 3, side, side))
    assert keys.shape == (1, grid, grid, width)
    assert network.pretrained_cfg["mean"] == (0.485, 0.456, 0.406)


def test_fused_attention_does_not_hide_the_keys():
    """Keys are the same whether the attention is computed by one fused kernel or step by step."""
    network = timm.create_model(VIT["architecture"], num_classes=0, **VIT["arguments"]).eval()
    image = torch.rand(1, 3, 32, 32)
    keys = {}
    for fused in (True, False):
        for block in network.blocks:
            block.attn.fused_attn = fused
        keys[fused] = key_features(network, image)
    torch.testing.assert_close(keys[True], keys[False])
    assert keys[True].std() > 0
