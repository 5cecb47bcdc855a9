"""The scripts that predict, choose targets and explain, on tiny data by hand."""

import json
import runpy
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from segxai.explain.maps import read_maps
from segxai.explain.stream import Request
from segxai.explain.target import Label
from segxai.explainers import grad_cam
from segxai.job.files import read_rows
from segxai.job.log import InputError
from segxai.networks.network import Network, build_network
from segxai.networks.saving import save_weights
from segxai.stats.classification import best_thresholds

CLASSES = ["a", "b"]
MODEL = ["weights.safetensors", "card.json"]
CELL = {"dataset": "squares", "network": "toy"}
CHANNELS = ["red", "green", "blue"]
SELECTIONS = [{"split": "test", "images": None, "seed": 1}]
NETWORK = {
    "method": "timm_classifier",
    "architecture": "resnet10t",
    "arguments": {"stem_width": 8, "channels": [4, 4, 8, 8]},
    "head_features": None,
    "pretrained": False,
    "weights": None,
    "input_size": 32,
    "normalisation": "pretraining",
    "unfreeze_blocks": None,
    "training": {"loss": "bce"},
}
GRAD_CAM = {"method": "grad_cam", "layer": "features", "batch_size": 8, "precision": "float32"}
GRADIENTS = {
    "method": "integrated_gradients",
    **{"steps": 3, "probe": 4, "tolerance": None, "max_steps": 3, "batch_size": 6},
    **{"noise_samples": 2, "noise_std": 0.1, "fill": "black", "precision": "bfloat16"},
    "windows": None,
}


@pytest.fixture
def script(checkout):
    """Return a function that gives the `main` of a script."""
    return lambda name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


@pytest.fixture
def data(tmp_path):
    """Write six images with classes a and b, three for test, and an untrained network."""
    shown = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [1, 1]])
    samples = {
        "image_id": [f"i{k}" for k in range(6)],
        "group": list("uvwxyz"),
        "split": ["train", "validation", "test", "test", "validation", "test"],
        "label": "any",
        "label_a": shown[:, 0],
        "label_b": shown[:, 1],
    }
    pd.DataFrame(samples).to_csv(tmp_path / "samples.csv", index=False)
    images = np.full((6, 20, 20, 3), 99, np.uint8)
    images[:, 2:6, 2:7] += np.uint8(50) * shown[:, :1, None, None].astype(np.uint8)
    images[:, 10:15, 10:14] += np.uint8(50) * shown[:, 1:, None, None].astype(np.uint8)
    np.save(tmp_path / "images.npy", images)
    save_weights(build_network(NETWORK, 2, 3, 1), tmp_path / "weights.safetensors")
    (tmp_path / "card.json").write_text(json.dumps({"outputs": 2}))
    return tmp_path


def loaded(folder) -> dict:
    """Arguments of all scripts that load the network."""
    return {
        "samples": folder / "samples.csv",
        "images": folder / "images.npy",
        "statistics": None,
        "weights": folder / "weights.safetensors",
        "card": folder / "card.json",
        "network": NETWORK,
        "channels": CHANNELS,
        "threads": 1,
    }


def choose(script, folder, predicted) -> pd.DataFrame:
    """Choose the targets of the test images, where `predicted` are the pairs (image, class)."""
    rows = [(f"i{k}", name) for k in range(6) for name in CLASSES]
    table = pd.DataFrame(rows, columns=["image_id", "class"])
    table.assign(predicted=[int(pair in predicted) for pair in rows]).to_csv(
        folder / "predictions.csv", index=False
    )
    script("choose_targets")(
        samples=folder / "samples.csv",
        predictions=folder / "predictions.csv",
        classes=CLASSES,
        selections=SELECTIONS,
        shards=1,
        targets=folder / "targets.csv",
    )
    return read_rows(folder / "targets.csv")


def explain(script, folder, precision_check=None, windows=None):
    """Explain the chosen targets with Grad-CAM and read the maps."""
    script("explain")(
        **loaded(folder),
        targets=folder / "targets.csv",
        explainer=GRAD_CAM | {"windows": windows},
        selections=[{"split": None, "images": None, "seed": 1}],
        seed=1,
        shard=0,
        precision_check=precision_check,
        maps=folder / "maps.npy",
        rows=folder / "maps.csv",
    )
    return read_maps(folder / "maps.npy", folder / "maps.csv")


def check(script, folder) -> dict:
    """Run check_precision with Integrated Gradients in bfloat16 and read its verdict."""
    script("check_precision")(
        **loaded(folder),
        targets=folder / "targets.csv",
        explainer=GRADIENTS,
        seed=1,
        precision=folder / "precision.json",
    )
    return json.loads((folder / "precision.json").read_text())


def test_no_predicted_label_at_all(script, data):
    """Without predictions, there are neither targets nor maps, and no error."""
    assert len(choose(script, data, [])) == 0
    maps = explain(script, data)
    assert maps.packed.shape == (0, 2, 32, 32)


def test_every_predicted_label_is_a_target(script, data):
    """Two predicted labels of a test image have a map each, and images without one have none."""
    # Of training and validation images as well: they are not explained.
    predicted = [("i0", "a"), ("i1", "b"), ("i2", "a"), ("i2", "b"), ("i3", "b"), ("i5", "b")]
    targets = choose(script, data, predicted)
    assert targets.target_id.tolist() == ["i2:a", "i2:b", "i3:b", "i5:b"]
    assert targets.correct.tolist() == [1, 1, 0, 1]
    assert targets.row.tolist() == [2, 2, 3, 5]
    assert targets.group.tolist() == list("wwxz")
    maps = explain(script, data)
    assert maps.table.target_id.tolist() == targets.target_id.tolist()
    assert not np.array_equal(maps[0].magnitude, maps[1].magnitude)


def test_patches_are_predicted_one_by_one(script, data):
    """A row per window and class, as of a whole image: of its own pixels and its own label."""
    rows = [("i0", 0, 0, "a", "train"), ("i0", 10, 10, "b", "train")]
    rows.append(("i1", 10, 0, "a", "validation"))
    windows = pd.DataFrame(rows, columns=["image_id", "y", "x", "label", "split"])
    windows.assign(height=10, width=10).to_csv(data / "patches.csv", index=False)
    network = NETWORK | {"training": {"loss": "cross_entropy"}}
    script("predict")(
        **loaded(data) | {"network": network},
        **{"classes": CLASSES, "cell": CELL, "seed": 1, "patches": data / "patches.csv"},
        predictions=data / "predictions.csv",
    )
    table = read_rows(data / "predictions.csv")
    assert list(table[["image_id", "y", "x", "split", "class"]].itertuples(index=False)) == [
        (*row[:3], row[4], name) for row in rows for name in CLASSES
    ]
    images = np.load(data / "images.npy")
    known = Network.load(*(data / f for f in MODEL), None, NETWORK, 3, torch.device("cpu"))
    for row, (name, y, x, label, _) in enumerate(rows):
        own = table.iloc[2 * row : 2 * row + 2]
        pixels = images[int(name[1:]), y : y + 10, x : x + 10]
        logits = known.outputs(known.inputs(pixels[None]))
        np.testing.assert_allclose(own.probability, logits.softmax(dim=1)[0], atol=1e-6)
        right = CLASSES[own.probability.to_numpy().argmax()] == label
        assert own.correct.tolist() == [int(right)] * 2


def test_windows_make_finer_maps(script, data):
    """Maps of quadrants have twice the side of the input, and each quadrant its own Grad-CAM."""
    images = np.load(data / "images.npy").repeat(5, axis=1).repeat(5, axis=2)[:, :64, :64]
    np.save(data / "images.npy", images)
    targets = choose(script, data, [("i2", "a"), ("i3", "b")])
    maps = explain(script, data, windows={"grids": [2], "overlap": 0})
    assert maps.packed.shape == (2, 2, 64, 64)
    network = Network.load(*(data / f for f in MODEL), None, NETWORK, 3, torch.device("cpu"))
    for place, target in enumerate(targets.itertuples()):
        quadrant = network.inputs(images[target.row][None, 32:, :32])
        request = Request(quadrant[0], Label(target.channel), torch.Generator())
        (alone,) = grad_cam.explain(network, [request], "features", 8)
        np.testing.assert_allclose(
            maps[place].signed[32:, :32], alone.values[0], atol=1e-3 * maps.table.scale[place]
        )


def test_maps_without_contrast_are_counted(script, data, caplog):
    """A network that ignores its input has constant maps: each is marked, and logged once."""
    choose(script, data, [("i2", "a"), ("i3", "b"), ("i5", "b")])
    maps = explain(script, data)
    spans = [np.ptp(maps[place].magnitude) for place in range(3)]
    assert maps.table.constant.tolist() == [int(span == 0) for span in spans]
    assert max(spans) > 0
    blind = build_network(NETWORK, 2, 3, 1)
    torch.nn.init.zeros_(blind.get_classifier().weight)
    save_weights(blind, data / "weights.safetensors")
    caplog.clear()
    with caplog.at_level("WARNING", "segxai"):
        maps = explain(script, data)
    assert maps.table.constant.tolist() == [1, 1, 1]
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("3 of 3 maps are constant")


def test_predictions_of_sigmoids(script, data):
    """Labels above the thresholds of the validation images are predicted; correct says rightly."""
    script("predict")(
        **loaded(data), classes=CLASSES, cell=CELL, seed=1, predictions=data / "predictions.csv"
    )
    predictions = read_rows(data / "predictions.csv")
    held_out = predictions[predictions.split == "validation"]
    shown = read_rows(data / "samples.csv")[["label_a", "label_b"]].to_numpy()
    for place, name in enumerate(CLASSES):
        p = held_out[held_out["class"] == name].probability.to_numpy()
        expected = best_thresholds(p[:, None], shown[[1, 4], place][:, None])
        own = predictions[predictions["class"] == name].threshold.unique()
        np.testing.assert_allclose(own, expected, rtol=1e-8)
    assert (predictions.predicted == (predictions.probability > predictions.threshold)).all()
    assert (predictions.correct == (predictions.predicted == shown.ravel())).all()


def test_softmax_of_several_labels_is_refused(script, data):
    """Classes that share images cannot be trained to exclude each other; the remedy is named."""
    samples = read_rows(data / "samples.csv")
    windows = {"image_id": samples.image_id, "y": 0, "x": 0, "height": 20, "width": 20}
    pd.DataFrame(windows).assign(label=samples.label, split=samples.split).to_csv(
        data / "patches.csv", index=False
    )
    arguments = loaded(data) | {
        "network": NETWORK | {"training": {"loss": "cross_entropy", "images": None}}
    }
    outputs = {"history": data / "h.csv", "card": data / "c.json"}
    with pytest.raises(InputError, match="set `loss: bce`"):
        script("train_network")(
            **arguments | outputs, patches=data / "patches.csv", classes=CLASSES, cell=CELL, seed=1
        )


def test_bfloat16_is_used_where_it_keeps_the_maps(script, data, monkeypatch):
    """Invisible rounding is accepted; that of an untrained network's maps is not."""
    choose(script, data, [(f"i{k}", "a") for k in range(6)])
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    verdict = check(script, data)
    assert verdict["images"] == 3
    assert verdict["spearman"] < 0.99
    assert verdict["used"] == "float32"
    score = Network.score
    exact = partial(replace, precision="float32")
    monkeypatch.setattr(Network, "score", lambda network: score(exact(network)))
    verdict = check(script, data)
    assert verdict["spearman"] == pytest.approx(1)
    assert verdict["asked"] == verdict["used"] == "bfloat16"


def test_a_processor_without_bfloat16_has_nothing_to_check(script, data, monkeypatch):
    """Where bfloat16 would be emulated, float32 is used and no image is explained."""
    choose(script, data, [("i2", "a")])
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    verdict = check(script, data)
    assert (verdict["images"], verdict["used"], verdict["spearman"]) == (0, "float32", None)


def test_maps_use_the_checked_precision(script, data, monkeypatch):
    """The explainer takes its arithmetic from the verdict on it."""
    choose(script, data, [("i2", "a")])
    used, outputs = [], Network.outputs
    monkeypatch.setattr(
        Network, "outputs", lambda self, x: used.append(self.precision) or outputs(self, x)
    )
    verdict = data / "precision.json"
    verdict.write_text(json.dumps({"used": "bfloat16"}))
    explain(script, data)
    explain(script, data, verdict)
    assert {*used} == {"float32", "bfloat16"}
