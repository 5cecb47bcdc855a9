"""Unsuitable uses of a network are reported before training."""

import json

import pytest

from scripts import check_network
from segxai.job.log import InputError

NOTHING = {"explainers": [], "keys": [], "levels": False, "fills": []}
VIT = {"img_size": 64, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}


def gradcam(layer: str) -> dict:
    """Define Grad-CAM of a layer."""
    return {"method": "grad_cam", "layer": layer, "batch_size": 1}


def network(architecture: str = "resnet10t", **changes) -> dict:
    """Define a network that is trained here; `unet` and `micranet` are methods of their own."""
    chosen = {"pretrained": False, "weights": None, "input_size": 64, "training": {"loss": "bce"}}
    chosen |= {"normalisation": "training"}
    if architecture == "unet":
        return chosen | {"method": "unet", "width": 2} | changes
    if architecture == "micranet":
        return chosen | {"method": "micranet"} | changes
    chosen |= {"method": "timm_classifier", "architecture": architecture, "arguments": {}}
    return chosen | {"head_features": None} | changes


def check(tmp_path, definition: dict, **needs) -> dict:
    """Check a network on images of four channels, and read what is written."""
    file = tmp_path / "checked.json"
    check_network.main(definition, ["a", "b", "c", "d"], NOTHING | needs, file)
    return json.loads(file.read_text())


@pytest.mark.parametrize(
    ("definition", "needs"),
    [
        (network(), {"explainers": [gradcam("convolution"), gradcam("features")]}),
        (network("unet"), {"explainers": [gradcam("convolution"), gradcam("features")]}),
        (network("micranet"), {"levels": True, "explainers": [gradcam("convolution")]}),
        (network("vit_tiny_patch16_224", arguments=VIT), {"keys": [64, 128], "fills": ["tokens"]}),
        (network(), {"fills": ["black", "blur"]}),
    ],
)
def test_what_a_network_has_is_admitted(definition, needs, tmp_path):
    """Feature maps of convolutions, MICRA-Net's levels, keys of a ViT at its and at other sizes."""
    assert check(tmp_path, definition, **needs) == NOTHING | needs | {"input_size": 64}


@pytest.mark.parametrize(
    ("definition", "remedy"),
    [
        (network("vit_tiny_patch16_224", input_size=100), "set `input_size: 224`"),
        (
            network("vit_tiny_patch16_224", input_size=100, arguments={"dynamic_img_size": True}),
            "set `input_size: 96`",
        ),
        (network("swin_tiny_patch4_window7_224", input_size=100), "set `input_size: 224`"),
        (network("inception_v3", input_size=64), "set `input_size: 80`"),
        (network("unet", input_size=100), "multiple of 16"),
    ],
)
def test_an_input_size_that_does_not_suit_is_refused(definition, remedy, tmp_path):
    """Patches, windows and strides: the sentence has the key, and a size that does suit."""
    with pytest.raises(InputError, match=rf"input_size: .*{remedy}"):
        check(tmp_path, definition)


@pytest.mark.parametrize(
    ("architecture", "needs", "problem"),
    [
        (
            "vit_tiny_patch16_224",
            {"explainers": [gradcam("features")]},
            "explainers: grad_cam .* choose",
        ),
        (
            "mixer_s32_224",
            {"explainers": [gradcam("convolution")]},
            "explainers: grad_cam .* choose",
        ),
        ("resnet10t", {"keys": [64]}, "keys of tokens .*ResNet.* choose a `vit_"),
        ("efficientnet_b0", {"keys": [64]}, "keys of tokens .* choose a `vit_"),
        ("mixer_s32_224", {"keys": [224]}, "keys of tokens .* choose a `vit_"),
        ("resnet10t", {"keys": [128]}, "segmenters: resnet10t .* name a network"),
        ("micranet", {"keys": [128]}, "keys of tokens .* choose a `vit_"),
        ("resnet10t", {"levels": True}, "segmenters: .* method micranet"),
        ("resnet10t", {"fills": ["blur", "tokens"]}, "metrics: `fill: tokens` .* such as vit_"),
    ],
)
def test_an_architecture_that_has_not_what_is_needed_is_refused(
    architecture, needs, problem, tmp_path
):
    """A network that lacks the inputs of explainers, views or segmenters gives one sentence."""
    size = 224 if architecture.endswith("224") else 64
    with pytest.raises(InputError, match=problem):
        check(tmp_path, network(architecture, input_size=size), **needs)


def test_keys_need_a_multiple_of_the_patch_size(tmp_path):
    """The segmenter's own input size is compared with the patches of its network."""
    with pytest.raises(InputError, match=r"multiple of the patch size.* set `input_size` to 96"):
        check(tmp_path, network("vit_tiny_patch16_224", arguments=VIT), keys=[100])


def test_weights_of_another_network_are_refused_before_training(tmp_path):
    """The check loads the file that training would start from."""
    with pytest.raises(InputError, match=r"none\.pth: no such weights file"):
        check(tmp_path, network(weights=str(tmp_path / "none.pth")))
