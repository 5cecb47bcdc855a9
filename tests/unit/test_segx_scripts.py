"""The scripts of SegX on tiny data by hand: several labels of an image, or none at all."""

import json
import runpy

import numpy as np
import pandas as pd
import pytest
import torch

from segxai.job.files import read_rows
from segxai.job.log import InputError
from segxai.job.parallel import BLAS_THREADS
from segxai.networks.network import Classifier, build_classifier
from segxai.networks.saving import save_weights
from segxai.stats.classification import best_thresholds

CLASSES = ["a", "b"]
SELECTION = {"split": "test", "count": None, "seed": 1, "shards": 1}
MODEL = {
    "architecture": "resnet10t",
    "arguments": {"stem_width": 8, "channels": [4, 4, 8, 8]},
    "input_size": 32,
    "normalisation": "pretraining",
    "head_features": None,
    "training": {"loss": "bce"},
}
EXACT = {"precision": "float32", "compiled": False}
GRAD_CAM = {"method": "grad_cam", "layer": "features", "batch_size": 8, **EXACT}


@pytest.fixture
def script(checkout, monkeypatch):
    """Return a function that gives the `main` of a script, which does its work in this process."""
    for variable in BLAS_THREADS:
        monkeypatch.setenv(variable, "1")
    return lambda name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


@pytest.fixture
def data(tmp_path):
    """Write six images with classes a and b, of which three are test images."""
    masks = np.zeros((6, 2, 20, 20), np.uint8)
    masks[:, 0, 2:6, 2:7] = [[[1]], [[0]], [[1]], [[0]], [[1]], [[1]]]
    masks[:, 1, 10:15, 10:14] = [[[0]], [[1]], [[1]], [[0]], [[0]], [[1]]]
    samples = pd.DataFrame(
        {
            "image_id": [f"i{k}" for k in range(6)],
            "group": list("uvwxyz"),
            "split": ["train", "validation", "test", "test", "validation", "test"],
            "label": "any",
            "label_a": masks[:, 0].any(axis=(1, 2)).astype(int),
            "label_b": masks[:, 1].any(axis=(1, 2)).astype(int),
        }
    )
    samples.to_csv(tmp_path / "samples.csv", index=False)
    np.save(tmp_path / "truth.npy", masks)
    bright = (99 + 50 * masks.sum(axis=1)).astype(np.uint8)
    np.save(tmp_path / "images.npy", np.repeat(bright[..., None], 3, axis=3))
    return tmp_path


def write_maps(folder, targets, segmentations) -> dict:
    """Write maps that are highest on the true mask of class a, and the files that go with them."""
    truth = np.load(folder / "truth.npy")
    rows = [int(name[1]) for name, _ in targets]
    np.save(folder / "maps.npy", (0.5 + truth[rows, 0] / 2).astype(np.float16))
    pd.DataFrame(targets, columns=["image_id", "target"]).to_csv(folder / "maps.csv", index=False)
    np.save(folder / "masks.npy", segmentations.astype(np.uint8))
    facts = {"image_id": ["i2", "i3", "i5"], "mask": 0, "confidence": [0.9, 0.1, 0.5]}
    pd.DataFrame(facts).to_csv(folder / "masks.csv", index=False)
    predictions = {
        "image_id": np.repeat([f"i{k}" for k in range(6)], 2),
        "class": CLASSES * 6,
        "probability": [0.6, 0.7] * 6,
        "threshold": [0.5, 0.2] * 6,
    }
    pd.DataFrame(predictions).to_csv(folder / "predictions.csv", index=False)
    return files_of(folder)


def files_of(folder) -> dict:
    """Arguments that all scoring scripts share."""
    return {
        "samples": folder / "samples.csv",
        "truth": folder / "truth.npy",
        "maps": [folder / "maps.npy"],
        "facts": [folder / "maps.csv"],
        "classes": CLASSES,
        "selection": SELECTION,
        "workers": 1,
    }


def segx_scores(script, folder, files) -> pd.DataFrame:
    """Run score_segx and read what it wrote."""
    script("score_segx")(
        **files,
        predictions=folder / "predictions.csv",
        masks=[folder / "masks.npy"],
        mask_facts=[folder / "masks.csv"],
        scores=folder / "scores.csv",
    )
    return read_rows(folder / "scores.csv")


def dose_scores(script, folder, files, doses) -> pd.DataFrame:
    """Run score_doses and read what it wrote."""
    script("score_doses")(**files, scope="union", doses=doses, seed=1, scores=folder / "doses.csv")
    return read_rows(folder / "doses.csv")


def test_scores_of_right_and_wrong_labels(script, data):
    """Each label is held against its own mask; a wrong one has none, an empty segmentation is 0."""
    union = np.load(data / "truth.npy")[[2, 3, 5]].max(axis=1)
    union[2] = 0
    targets = [("i2", "a"), ("i2", "b"), ("i3", "a"), ("i5", "a")]
    scores = segx_scores(script, data, write_maps(data, targets, union))
    assert scores.present.tolist() == [1, 1, 0, 1]
    assert scores.group.tolist() == list("wwxz")
    # The finding of a is 5 % of the image, and alone at the top of its map.
    assert scores.iou_original.tolist()[:2] == [1, 0]
    # Image i3 has a constant map and nothing segmented: neither score is defined.
    assert scores.loc[2, ["iou_original", "c_iou"]].isna().all()
    # In i5 nothing is segmented, though a finding is there.
    unfound = scores.loc[3, ["iou_original", "iou_segx", "c_iou", "mask_fraction"]]
    assert unfound.tolist() == [1, 0, 0, 0]
    assert scores.segmentation_confidence.tolist() == [0.9, 0.9, 0.1, 0.5]
    assert scores.threshold.tolist() == [0.5, 0.2, 0.5, 0.5]
    odds = 0.7 / 0.3 / (0.2 / 0.8)
    np.testing.assert_allclose(scores.maximum_probability[:2], [0.6, odds / (1 + odds)])


def test_doses_of_the_true_mask(script, data):
    """The undamaged union gives SegX all of the lesion; a shift out of the image leaves nothing."""
    files = write_maps(data, [("i2", "a"), ("i3", "b")], np.zeros((3, 20, 20)))
    doses = dose_scores(script, data, files, {"erode": [12], "shift": [400]})
    assert doses.kind.tolist() == ["none", "erode", "shift"] * 2
    by_kind = doses[doses.image_id == "i2"].set_index("kind")
    assert by_kind.loc["none", ["dice", "iou_segx"]].tolist() == [1, 1]
    assert 0 < by_kind.iou_segx["erode"] < 1
    assert by_kind.loc["shift", ["dice", "iou_segx", "c_iou"]].tolist() == [0, 0, 0]
    # Image i3 shows nothing: no dose can change that, and its constant map agrees.
    assert doses[doses.image_id == "i3"][["dice", "iou_segx", "c_iou"]].isna().all(axis=None)


def explain(script, folder, precision_check=None) -> pd.DataFrame:
    """Run explain with an untrained network and read the rows of its maps."""
    network = build_classifier(MODEL["architecture"], MODEL["arguments"], 2, False, None, 1)
    save_weights(network, folder / "weights.safetensors")
    script("explain")(
        samples=folder / "samples.csv",
        images=folder / "images.npy",
        statistics=None,
        weights=folder / "weights.safetensors",
        predictions=folder / "predictions.csv",
        precision_check=precision_check,
        model=MODEL,
        classes=CLASSES,
        explainer=GRAD_CAM,
        selection=SELECTION | {"shard": 0},
        grid=1,
        seed=1,
        threads=1,
        key="",
        maps=folder / "maps.npy",
        rows=folder / "maps.csv",
    )
    return read_rows(folder / "maps.csv")


def test_no_predicted_label_at_all(script, data):
    """Where nothing is predicted there are no maps and no scores, but no error either."""
    files = write_maps(data, [("i2", "a")], np.zeros((3, 20, 20)))
    predictions = read_rows(data / "predictions.csv").assign(predicted=0)
    predictions.to_csv(data / "predictions.csv", index=False)
    assert len(explain(script, data)) == 0
    assert np.load(data / "maps.npy").shape == (0, 20, 20)
    for scores in (
        segx_scores(script, data, files),
        dose_scores(script, data, files, {"erode": [1]}),
    ):
        assert len(scores) == 0
        assert {"image_id", "group", "present", "c_iou"} < {*scores}


def test_every_predicted_label_is_explained(script, data):
    """Two predicted labels of a test image have a map each, and images without one have none."""
    write_maps(data, [("i2", "a")], np.zeros((3, 20, 20)))
    predictions = read_rows(data / "predictions.csv")
    asked = [("i2", "a"), ("i2", "b"), ("i5", "b")]
    pairs = zip(predictions.image_id, predictions["class"], strict=True)
    # Of the training images as well: they are not explained.
    predicted = [int(pair in asked or pair[0] < "i2") for pair in pairs]
    predictions.assign(predicted=predicted).to_csv(data / "predictions.csv", index=False)
    rows = explain(script, data)
    assert list(zip(rows.image_id, rows.target, strict=True)) == asked
    maps = np.load(data / "maps.npy")
    assert maps.shape == (3, 20, 20)
    assert not np.array_equal(maps[0], maps[1])


def test_predictions_of_sigmoids(script, data):
    """Labels above the thresholds of the validation images are predicted; correct says rightly."""
    network = build_classifier(MODEL["architecture"], MODEL["arguments"], 2, False, None, 1)
    save_weights(network, data / "weights.safetensors")
    script("predict")(
        samples=data / "samples.csv",
        images=data / "images.npy",
        statistics=None,
        weights=data / "weights.safetensors",
        model=MODEL,
        classes=CLASSES,
        grid=1,
        threads=1,
        predictions=data / "predictions.csv",
    )
    predictions = read_rows(data / "predictions.csv")
    held_out = predictions[predictions.split == "validation"]
    shown = read_rows(data / "samples.csv")[["label_a", "label_b"]].to_numpy()
    for place, name in enumerate(CLASSES):
        p = held_out[held_out["class"] == name].probability.to_numpy()
        expected = best_thresholds(p[:, None], shown[[1, 4], place][:, None])
        own = predictions[predictions["class"] == name].threshold.unique()
        np.testing.assert_array_equal(own, expected)
    assert (predictions.predicted == (predictions.probability > predictions.threshold)).all()
    assert (predictions.correct == (predictions.predicted == shown.ravel())).all()


def test_softmax_of_several_labels_is_refused(script, data):
    """Classes that share images cannot be trained to exclude each other; the remedy is named."""
    windows = {"image_id": [f"i{k}" for k in range(6)], "y": 0, "x": 0, "height": 20, "width": 20}
    samples = read_rows(data / "samples.csv")
    pd.DataFrame(windows).assign(label=samples.label, split=samples.split).to_csv(
        data / "patches.csv", index=False
    )
    with pytest.raises(InputError, match="set `loss: bce`"):
        script("train_model")(
            samples=data / "samples.csv",
            images=data / "images.npy",
            patches=data / "patches.csv",
            statistics=None,
            model=MODEL | {"training": {"loss": "cross_entropy"}},
            classes=CLASSES,
            seed=1,
            threads=1,
            weights=data / "w.safetensors",
            history=data / "h.csv",
            card=data / "c.json",
        )


def predict_all(data) -> None:
    """Write that every image has finding a."""
    rows = [{"image_id": f"i{k}", "class": "a", "predicted": 1} for k in range(6)]
    pd.DataFrame(rows).to_csv(data / "predictions.csv", index=False)


def check(script, data, **asked) -> dict:
    """Run check_precision with Integrated Gradients and read its verdict."""
    network = build_classifier(MODEL["architecture"], MODEL["arguments"], 2, False, None, 1)
    save_weights(network, data / "weights.safetensors")
    steps = {"steps": 3, "probe": 4, "tolerance": None, "max_steps": 3, "batch_size": 6}
    noise = {"noise_samples": 2, "noise_std": 0.1}
    settings = {"method": "integrated_gradients", "engine": "ours", **steps, **noise}
    script("check_precision")(
        samples=data / "samples.csv",
        images=data / "images.npy",
        statistics=None,
        weights=data / "weights.safetensors",
        predictions=data / "predictions.csv",
        model=MODEL,
        classes=CLASSES,
        explainer=settings | EXACT | asked,
        selection=SELECTION,
        grid=1,
        seed=1,
        threads=1,
        output=data / "precision.json",
    )
    return json.loads((data / "precision.json").read_text())


def test_bfloat16_is_used_where_it_keeps_the_maps(script, data, monkeypatch):
    """Rounding too small to see is admitted; that of an untrained network's maps is not."""
    predict_all(data)
    asked = {"precision": "bfloat16"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    verdict = check(script, data, **asked)
    assert verdict["images"] == 3
    assert verdict["spearman"] < 0.99
    assert verdict["used"] == EXACT
    scores = Classifier.scores
    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "scores", lambda self, *_: scores(self))
        verdict = check(script, data, **asked)
    assert verdict["spearman"] == pytest.approx(1)
    assert verdict["asked"] == verdict["used"] == EXACT | asked


def test_a_processor_without_bfloat16_has_nothing_to_check(script, data, monkeypatch):
    """Where bfloat16 would be emulated, float32 is used and no image is explained."""
    predict_all(data)
    asked = {"precision": "bfloat16"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    verdict = check(script, data, **asked)
    assert (verdict["images"], verdict["used"], verdict["spearman"]) == (0, EXACT, None)


def test_a_network_that_cannot_be_compiled_is_explained_without(script, data, monkeypatch, caplog):
    """Compiled passes are used where they work; where torch.compile fails, the log says so."""
    predict_all(data)
    compiled = []

    def compile_network(network, dynamic):
        compiled.append(network)
        return network

    monkeypatch.setattr(torch, "compile", compile_network)
    assert check(script, data, compiled=True)["used"] == {**EXACT, "compiled": True}
    assert len(compiled) == 1

    def fail(network, dynamic):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", fail)
    assert check(script, data, compiled=True)["used"] == EXACT
    assert "torch.compile failed: no compiler" in caplog.text


def test_maps_are_made_as_the_check_found(script, data, monkeypatch):
    """The explainer takes its arithmetic from the verdict on it."""
    predict_all(data)
    used, scores = [], Classifier.scores
    monkeypatch.setattr(
        Classifier, "scores", lambda self, *asked: used.append(asked) or scores(self, *asked)
    )
    verdict = data / "precision.json"
    verdict.write_text(json.dumps({"used": {"precision": "bfloat16", "compiled": False}}))
    explain(script, data)
    explain(script, data, verdict)
    assert used == [("float32", False), ("bfloat16", False)]
