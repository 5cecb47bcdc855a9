"""The chain of TokenCut and MaskCut on one image, and the networks that it takes keys from."""

import json

import numpy as np
import pytest
import safetensors.torch
import timm
import torch

from segxai.networks.keys import key_features
from segxai.networks.network import Classifier, build_classifier
from segxai.segmenters.bilateral import bilateral_solver
from segxai.segmenters.tokens import segment_keys

IMAGE = np.zeros((48, 48, 3), np.uint8)
IMAGE[8:24, 8:32] = 220
SETTINGS = {
    "tokencut": {"tau": 0.2, "bilateral": None},
    "maskcut": {"tau": 0.15, "max_objects": 3, "combine": "union"},
}
SOLVER = {"sigma_spatial": 16, "sigma_luma": 16, "sigma_chroma": 8, "smoothness": 256}
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


@pytest.mark.parametrize("method", SETTINGS)
def test_block_is_found_at_the_pixels(method):
    """A block of tokens over a block of the image is the mask, to the pixel, by one defined cut."""
    mask, facts = segment_keys((keys(block()), IMAGE), method, SETTINGS[method])
    np.testing.assert_array_equal(mask, IMAGE[..., 0] > 0)
    assert facts["objects"] == 1
    assert facts["eigengap"] > 0.1
    assert (facts["dense"], facts["problem"]) == (0, "")


def test_bilateral_solver_is_used_where_it_is_asked_for():
    """A coarse mask one cell too wide is cut back to the block of the image by the solver alone."""
    labels = block()
    labels[1:3, 4] = 1
    settings = SETTINGS["tokencut"]
    plain, _ = segment_keys((keys(labels), IMAGE), "tokencut", settings)
    snapped, _ = segment_keys((keys(labels), IMAGE), "tokencut", settings | {"bilateral": SOLVER})
    assert plain.sum() == 16 * 32
    np.testing.assert_array_equal(snapped, IMAGE[..., 0] > 0)
    solved = bilateral_solver(plain, IMAGE, **SOLVER) > 0.5
    np.testing.assert_array_equal(snapped, solved)


@pytest.mark.parametrize("method", SETTINGS)
def test_nothing_to_cut_is_told(method):
    """Equal keys give an empty mask, and the facts say why instead of passing it over."""
    mask, facts = segment_keys((np.ones((6, 6, 4)), IMAGE), method, SETTINGS[method])
    assert mask.shape == IMAGE.shape[:2]
    assert not mask.any()
    assert facts["objects"] == 0
    assert np.isnan(facts["eigengap"])
    assert "alike" in facts["problem"]


@pytest.mark.parametrize("method", SETTINGS)
def test_undefined_partitions_are_counted(method):
    """Three unlike blocks of one size have no eigengap: the dense solver cuts and is counted."""
    labels = np.repeat(np.arange(3), 32).reshape(12, 8)
    blank = np.zeros((96, 64, 3), np.uint8)
    mask, facts = segment_keys((keys(labels), blank), method, SETTINGS[method])
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
