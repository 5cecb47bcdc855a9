"""Weights of files: what fits a network loads to the last bit, anything else is one sentence."""

import re
from argparse import Namespace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from segxai.job.log import InputError
from segxai.networks.network import build_network
from segxai.networks.weights import COUNTER, head_names, load_backbone, read_state_dict
from segxai.workflow.plugins import about, methods
from tests.unit.toy_networks import FRESH

VIT = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
# What a method needs beside its defaults, or to be small.
SMALL = {
    "timm_classifier": {"architecture": "resnet10t", "arguments": {"stem_width": 8}},
    "unet": {"width": 2},
}
VARIANTS = {
    "vit": {"architecture": "vit_tiny_patch16_224", "arguments": VIT},
    "densenet": {"architecture": "densenet121", "arguments": {}},
}


def build(name: str, outputs: int = 2, seed: int = 0, weights: Path | None = None, **changes):
    """Build a network: one of a method of segxai/networks, or a variant of timm's."""
    method = "timm_classifier" if name in VARIANTS else name
    known = about("networks", method)["settings"]
    defaults = {key: setting["default"] for key, setting in known.items() if "default" in setting}
    chosen = defaults | (VARIANTS.get(name) or SMALL.get(name, {})) | changes
    definition = {"method": method} | chosen | FRESH | {"weights": weights and str(weights)}
    return build_network(definition, outputs, 3, seed)


def body(module: nn.Module) -> dict[str, torch.Tensor]:
    """All tensors of a network but those of its head."""
    head = head_names(module)
    return {key: value for key, value in module.state_dict().items() if not key.startswith(head)}


def same(first: dict, second: dict) -> bool:
    """Whether two states have the same tensors, to the last bit, counters aside."""
    keys = [{key for key in state if not key.endswith(COUNTER)} for state in (first, second)]
    return keys[0] == keys[1] and all(torch.equal(first[key], second[key]) for key in keys[0])


def saved(content: object, path: Path, **options) -> Path:
    """Save as torch does."""
    torch.save(content, path, **options)
    return path


EVERY = pytest.mark.parametrize("name", [*methods("networks"), "vit"])


@EVERY
def test_a_body_loads_under_a_head_of_other_classes(name, tmp_path):
    """Whatever the method: the body is that of the file, the head is fresh and of its own size."""
    source = build(name, outputs=5, seed=1)
    loaded = build(name, seed=2, weights=saved(source.state_dict(), tmp_path / "body.pth"))
    fresh = build(name, seed=2)
    assert head_names(fresh)
    assert same(body(loaded), body(source))
    heads = [{k: v for k, v in m.state_dict().items() if k not in body(m)} for m in (loaded, fresh)]
    assert heads[0]
    assert same(*heads)


EDIT = st.tuples(
    st.sampled_from(["drop", "rename", "add", "widen", "transpose", "uncount"]),
    st.integers(0, 10**6),
    st.sampled_from(["{}x", "x{}", "x.{}", "encoder.{}", "{}.weight", "blocks.9.{}", "ls.{}"]),
)


@EVERY
@settings(max_examples=40, deadline=None)
@given(edits=st.lists(EDIT, min_size=1, max_size=3))
def test_a_file_loads_whole_or_not_at_all(name, edits):
    """Tensors dropped, renamed, added or of another shape: exactly equal ones, or one sentence.

    What is loaded is compared with the file: no tensor of it is left over, none of the network's
    has another source.
    """
    if not hasattr(test_a_file_loads_whole_or_not_at_all, name):
        models = build(name, seed=1), build(name, seed=2)
        setattr(test_a_file_loads_whole_or_not_at_all, name, models)
    source, target = getattr(test_a_file_loads_whole_or_not_at_all, name)
    whole = {key: value.float() for key, value in body(source).items()}
    state = dict(whole)
    for kind, place, pattern in edits:
        key = sorted(state)[place % len(state)]
        if kind == "uncount":
            state = {k: v for k, v in state.items() if not k.endswith(COUNTER)}
        elif kind == "add":
            state.setdefault(pattern.format(key), torch.ones(3))
        elif kind == "widen":
            state[key] = torch.cat([torch.atleast_1d(state[key])] * 2)
        else:
            value = state.pop(key)
            if kind == "transpose":
                state[key] = value.T.contiguous() if value.ndim == 2 else value
            elif kind == "rename":
                state[pattern.format(key)] = value
    before = {key: value.clone() for key, value in target.state_dict().items()}
    try:
        load_backbone(target, state, "some.pth")
    except InputError as error:
        assert re.match(
            r"some\.pth: .*(left over|missing|shape|not weights of).*; set ", str(error)
        )
        assert same(target.state_dict(), before)
    else:
        assert same(body(target), state)
    assert same(body(target), state) or not same(whole, state)


def older_names(state: dict) -> dict:
    """Names of torchvision's DenseNet before 2018, of a time without counters."""
    names = {key: re.sub(r"(layer\d+\.(?:norm|conv))(\d)", r"\1.\2", key) for key in state}
    return {names[key]: value for key, value in state.items() if not key.endswith(COUNTER)}


def test_torchvisions_densenets_load(tmp_path):
    """Its names of today are timm's; those of before are converted by timm's own filter."""
    source = build("densenet", outputs=3, seed=1)
    state = source.state_dict()
    assert "features.denseblock1.denselayer1.norm1.weight" in state
    assert "features.denseblock1.denselayer1.norm.1.weight" in older_names(state)
    for name, content in {"new": state, "old": older_names(state)}.items():
        loaded = build("densenet", seed=2, weights=saved(content, tmp_path / f"{name}.pth"))
        assert same(body(loaded), body(source)), name


def dino(state: dict, of: str = "teacher") -> dict:
    """Form of DINO's full checkpoint: teacher and student, optimiser, and its command line."""
    network = {f"module.backbone.{key}": value for key, value in state.items()}
    network |= {
        "module.head.mlp.0.weight": torch.ones(4, 4),
        "module.head.last.weight": torch.ones(2),
    }
    other = {key: value + 1 for key, value in network.items()}
    args = Namespace(arch="vit_tiny", lr=0.01, warmup=[1, 2], local_crops=None)
    return {
        **{"student": other, of: network, "optimizer": {"state": {0: {"step": 1}}}, "epoch": 3},
        **{"args": args, "dino_loss": {"center": torch.zeros(1, 4)}, "fp16_scaler": None},
    }


WRAPPED = {
    "dino": dino,
    "dino's student": lambda state: dino(state, of="student"),
    "trainer": lambda s: {
        "state_dict": {f"model.backbone.{k}": v for k, v in s.items()},
        "best": 1,
    },
    "compiled": lambda s: {"model": {f"module._orig_mod.{k}": v for k, v in s.items()}},
    "segmenter": lambda s: {f"backbone.{k}": v for k, v in s.items()} | {"decode.a": torch.ones(2)},
    "two in one": lambda s: {
        f"{who}.backbone.{k}": v + (who == "student")
        for who in ("student", "teacher")
        for k, v in s.items()
    },
}


@pytest.mark.parametrize("form", WRAPPED)
@pytest.mark.parametrize("legacy", [False, True])
def test_checkpoints_give_the_network_inside(form, legacy, tmp_path):
    """Training checkpoints of every wrapper give the same tensors as the plain file."""
    source = build("vit", seed=1)
    content = WRAPPED[form](source.state_dict())
    path = saved(content, tmp_path / "full.pth", _use_new_zipfile_serialization=not legacy)
    loaded = build("vit", seed=2, weights=path)
    assert same(body(loaded), body(source))


def test_one_tensor_under_two_names_is_refused(tmp_path):
    """Names with and without a prefix together are refused."""
    path = saved({"a": torch.ones(2), "module.a": torch.zeros(2)}, tmp_path / "twice.pth")
    with pytest.raises(InputError, match=r"twice\.pth: holds a twice.*remove"):
        read_state_dict(path)


def test_weights_are_read_by_their_content(tmp_path):
    """The suffix may be the other format's."""
    state = {"a": torch.ones(2)}
    safetensors.torch.save_file(state, tmp_path / "safe.bin")
    saved(state, tmp_path / "torch.safetensors")
    for name in ("safe.bin", "torch.safetensors"):
        assert read_state_dict(tmp_path / name)["a"].tolist() == [1, 1]


def test_home_is_expanded(tmp_path, monkeypatch):
    """`weights: ~/x` is the file x at home, as `path` of a data set is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    saved({"a": torch.ones(2)}, tmp_path / "x.pth")
    assert read_state_dict("~/x.pth")["a"].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"depth": 4}, r"blocks\.2.* left over"),
        ({"init_values": 0.1}, r"blocks\.0\.ls1\.gamma .*left over"),
        ({"patch_size": 4}, r"patch_embed\.proj\.weight would have to be resampled"),
        ({"patch_size": 16}, r"patch_embed\.proj\.weight would have to be resampled"),
        ({"reg_tokens": 2}, r"pos_embed has another shape"),
    ],
)
def test_weights_of_a_larger_network_are_refused(changes, problem, tmp_path):
    """More blocks, LayerScale, patches of another size, registers: the network would be another."""
    source = build("vit", arguments=VIT | changes)
    path = saved(source.state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=rf"other\.pth: {problem}.*`architecture`"):
        build("vit", weights=path)


def test_weights_of_a_deeper_resnet_are_refused(tmp_path):
    """A ResNet-34 has all tensors of a ResNet-18, and more."""

    def resnet(depth, **more):
        return build("timm_classifier", architecture=f"resnet{depth}", arguments={}, **more)

    path = saved(resnet(34).state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(InputError, match=r"resnet34\.pth: layer1\.2.*left over"):
        resnet(18, weights=path)
