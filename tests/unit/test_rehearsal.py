"""What a network cannot be used for is said before it is trained."""

import json

import pytest

from scripts import check_network
from segxai.job.log import InputError
from segxai.workflow.plugins import about, methods

NOTHING = {"explainers": {}, "segmenters": {}, "features": False}
VIT = {"img_size": 64, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
KEYS = {"method": "tokencut", "tau": 0.2, "centre": False}


def defined(method: str, **changes) -> dict:
    """Define an explainer with its defaults."""
    settings = about("explainers", method)["settings"]
    return {"method": method} | {name: one["default"] for name, one in settings.items()} | changes


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


def check(tmp_path, definition: dict, **uses) -> dict:
    """Check a network on images of four channels, and read what is written."""
    file = tmp_path / "checked.json"
    check_network.main(definition, ["a", "b", "c", "d"], NOTHING | uses, file)
    return json.loads(file.read_text())


@pytest.mark.parametrize("method", methods("explainers"))
@pytest.mark.parametrize("architecture", ["resnet10t", "unet"])
def test_every_explainer_is_rehearsed(method, architecture, tmp_path):
    """Whatever explains labels and regions suits a network of convolutions, with few passes."""
    chosen = {"mine": defined(method)}
    assert check(tmp_path, network(architecture), explainers=chosen)["used_by"] == ["mine"]


def test_what_reads_keys_and_levels_is_rehearsed(tmp_path):
    """Keys of a ViT at the segmenter's own input size, features, and MICRA-Net's levels."""
    tokens = {"tokens": KEYS | {"input_size": 128}}
    vit = network("vit_tiny_patch16_224", arguments=VIT)
    assert check(tmp_path, vit, segmenters=tokens, features=True)["used_by"] == ["tokens"]
    levels = {"levels": {"method": "micranet", "sigma": 1, "quantile": 0.8}}
    assert check(tmp_path, network("micranet"), segmenters=levels)["used_by"] == ["levels"]


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


CAM = {"cam": defined("grad_cam")}
TOKENS = {"tokens": KEYS | {"input_size": 128}}
LEVELS = {"levels": {"method": "micranet"}}


@pytest.mark.parametrize(
    ("architecture", "uses", "problem"),
    [
        ("vit_tiny_patch16_224", {"explainers": CAM}, "explainers: grad_cam .* choose"),
        ("mixer_s32_224", {"explainers": CAM}, "explainers: grad_cam .* choose"),
        ("resnet10t", {"features": True}, "key features .*ResNet.* choose a `vit_"),
        ("efficientnet_b0", {"features": True}, "key features .* choose a `vit_"),
        ("mixer_s32_224", {"features": True}, "key features .* choose a `vit_"),
        ("resnet10t", {"segmenters": TOKENS}, "segmenters: resnet10t .* name a network"),
        ("micranet", {"segmenters": TOKENS}, "key features .* choose a `vit_"),
        ("resnet10t", {"segmenters": LEVELS}, "segmenters: .* method micranet"),
    ],
)
def test_a_use_that_does_not_suit_the_architecture_is_refused(
    architecture, uses, problem, tmp_path
):
    """Explainers, views and segmenters of a network that has not what they read: one sentence."""
    size = 224 if architecture.endswith("224") else 64
    with pytest.raises(InputError, match=problem):
        check(tmp_path, network(architecture, input_size=size), **uses)


def test_keys_at_a_size_that_is_no_multiple_of_the_patches(tmp_path):
    """The segmenter's own input size is held against the patches of its network."""
    chosen = {"tokens": KEYS | {"input_size": 100}}
    with pytest.raises(InputError, match=r"no multiple .* set `input_size` to 96"):
        check(tmp_path, network("vit_tiny_patch16_224", arguments=VIT), segmenters=chosen)
