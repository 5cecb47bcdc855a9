"""The scripts that make masks, on toy data: what they read, join and write."""

import json
import runpy

import numpy as np
import pandas as pd
import pytest
import torch

from segxai.explain.maps import COLUMNS, pack
from segxai.images.masks import mask_rows
from segxai.job.files import read_rows, write_table
from segxai.job.log import InputError
from segxai.job.parallel import BLAS_THREADS
from segxai.metrics.overlap import dice
from segxai.networks.micranet import build
from segxai.networks.saving import save_weights
from segxai.segmenters import crf, ncut
from segxai.views import fused

SIDE, N = 32, 8
DISPLAY = [0, 1, 2]
SMOOTHED = {"method": "smoothed", "clip_percentile": 100, "sigma": 8}
FUSED = SMOOTHED | {"method": "fused"}
NCUT = {"method": "ncut", "grid": 16, "sigma_relevance": 0.3, "sigma_distance": None}
NCUT |= {"radius": None}
CRF = {"method": "crf"} | {name: part["default"] for name, part in crf.ABOUT["settings"].items()}
GRID = {"smoothed": {"sigma": [8, 40]}, "ncut": {"sigma_relevance": [0.1]}, "crf": {}}
BOUND = {"method": "best_cluster", "count": 2, "power": 8, "several": False}
DISC, OTSU = {"method": "centred_disc"}, {"method": "otsu_grey"}
MICRANET = {"method": "micranet", "network": "micranet", "sigma": 1, "quantile": 0.8}
NETWORK = {
    "method": "micranet",
    "pretrained": False,
    "weights": None,
    "input_size": 16,
    "normalisation": "training",
}


@pytest.fixture
def script(checkout, monkeypatch):
    """Return a function that gives the `main` of a script, which does its work in this process."""
    for variable in BLAS_THREADS:
        monkeypatch.setenv(variable, "1")
    return lambda name: runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


def truth_of(row: int) -> np.ndarray:
    """True mask of an image: a square that moves with its row."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[8:20, 4 + row : 16 + row] = 1
    return mask


@pytest.fixture
def data(tmp_path):
    """Write eight images of four channels, explained in reverse and the first of them twice."""
    split = ["train"] * 3 + ["validation"] * 3 + ["test"] * 2
    names = [f"i{row}" for row in range(N)]
    samples = pd.DataFrame({"image_id": names, "split": split, "label": "b", "mask_pixels": 144.0})
    write_table(tmp_path / "samples.csv", samples)
    images = np.zeros((N, SIDE, SIDE, 4), np.uint16)
    with mask_rows(tmp_path / "truth.npy", tmp_path / "outlines.csv", SIDE) as append:
        for row in range(N):
            append(row, {0: truth_of(row)})
            images[row, ..., 2] = np.where(truth_of(row), 40500, 500)
    np.save(tmp_path / "images.npy", images)
    explained = [7, 7, 6, 5, 4, 3]
    labels = ["b", "a", "b", "b", "b", "b"]
    targets = pd.DataFrame(
        {
            "target_id": [f"i{row}:{label}" for row, label in zip(explained, labels, strict=True)],
            "image_id": [names[row] for row in explained],
            "row": explained,
            "split": [split[row] for row in explained],
            "kind": "label",
            "channel": 0,
        }
    )
    write_table(tmp_path / "targets.csv", targets[::-1])
    stored = [pack(*[truth_of(row)[::2, ::2].astype(np.float32)] * 2) for row in explained]
    np.save(tmp_path / "maps.npy", np.stack([packed for packed, _ in stored]))
    facts = targets[["target_id", "image_id"]].assign(**dict.fromkeys(COLUMNS[2:], 1.0))
    write_table(tmp_path / "rows.csv", facts)
    chosen = samples.assign(row=range(N), shard=np.arange(N) // 4).loc[[3, 4, 5, 6, 7]]
    write_table(tmp_path / "chosen.csv", chosen)
    return tmp_path


def files(data, **names) -> dict:
    """Paths in a folder, by the names of a script's parameters."""
    return {name: str(data / file) for name, file in names.items()}


def explained(data) -> dict:
    """What both scripts of explanations read."""
    read = {name: f"{name}.npy" for name in ("maps", "images")}
    return files(data, **read, rows="rows.csv", targets="targets.csv") | {"display": [2, 2, 2]}


def made(data, name: str) -> tuple[np.ndarray, pd.DataFrame]:
    """Masks and facts that a script wrote."""
    return np.load(data / f"{name}.npy"), read_rows(data / f"{name}.csv")


def test_masks_follow_the_rows_of_the_maps(script, data):
    """One mask for each target in the order of the maps, whatever the list's; each finds its image.

    The coarse mask is the object, its refinement reads the right image and keeps it.
    """
    (data / "tuned.json").write_text(json.dumps({"view": {"sigma": 2}, "segmenter": {"grid": 32}}))
    segment_maps = script("segment_maps")
    read = explained(data) | files(data, settings="tuned.json")
    common = read | {"view": SMOOTHED, "threads": 1}
    segment_maps(**common, segmenter=NCUT, **files(data, masks="coarse.npy", facts="coarse.csv"))
    coarse, facts = made(data, "coarse")
    assert list(facts) == ["target_id", "constant"]
    rows = read_rows(data / "rows.csv")
    for column in ("target_id", "constant"):
        assert facts[column].tolist() == rows[column].tolist()
    truth = np.stack([truth_of(row) for row in (7, 7, 6, 5, 4, 3)])
    assert coarse.shape == truth.shape
    assert coarse.dtype == np.uint8
    assert dice(coarse, truth).min() > 0.8
    refined = files(data, coarse="coarse.npy", masks="fine.npy", facts="fine.csv")
    segment_maps(**common, segmenter=CRF, **refined)
    assert (dice(made(data, "fine")[0], truth) > 0.98).all()


def test_a_view_gets_the_keys_of_its_image(script, data):
    """Keys are of the chosen images; each target's view is fused with its own image's."""
    (data / "tuned.json").write_text(json.dumps({"view": {}, "segmenter": {}}))
    keys = np.random.default_rng(0).random((5, 8, 8, 4)).astype(np.float16)
    np.save(data / "keys.npy", keys)
    read = explained(data) | files(data, settings="tuned.json", view_keys="keys.npy")
    written = files(data, chosen="chosen.csv", masks="out.npy", facts="out.csv")
    script("segment_maps")(**read, **written, view=FUSED, segmenter=NCUT, threads=1)
    masks, _ = made(data, "out")
    settings = {name: FUSED[name] for name in ("clip_percentile", "sigma")}
    for place, row in [(0, 7), (5, 3)]:
        small = truth_of(row)[::2, ::2]
        stored = type("Stored", (), {"signed": small, "magnitude": small})
        grey = fused.view(stored, (SIDE, SIDE), keys=keys[row - 3], **settings)
        expected = ncut.segment(grey, **{name: NCUT[name] for name in ncut.ABOUT["settings"]})
        np.testing.assert_array_equal(masks[place], expected)


def test_a_bound_gets_the_keys_and_the_true_mask_of_its_target(script, data):
    """Where the true mask is one of two clusters of its image's keys, it is the bound's mask."""
    (data / "tuned.json").write_text(json.dumps({"view": {}, "segmenter": {}}))
    keys = np.stack([np.eye(2)[truth_of(row)] for row in range(3, N)])
    np.save(data / "keys.npy", keys.astype(np.float16))
    read = explained(data) | files(data, settings="tuned.json", token_keys="keys.npy")
    read |= files(data, samples="samples.csv", truth="truth.npy", outlines="outlines.csv")
    written = files(data, chosen="chosen.csv", masks="out.npy", facts="out.csv")
    script("segment_maps")(**read, **written, view=SMOOTHED, segmenter=BOUND, threads=1)
    expected = [truth_of(row) for row in (7, 7, 6, 5, 4, 3)]
    np.testing.assert_array_equal(made(data, "out")[0], expected)


def tune(script, data, **changed) -> tuple[dict, pd.DataFrame]:
    """Tune a segmenter, and give what was chosen and what was tried."""
    read = files(data, samples="samples.csv", truth="truth.npy", outlines="outlines.csv")
    written = files(data, settings="chosen.json", trials="trials.csv")
    options = {"segmenter": NCUT, "view": SMOOTHED, "grid": GRID, "n_images": 2, "threads": 1}
    script("tune_segmenter")(**explained(data) | read | written | options | changed)
    return json.loads((data / "chosen.json").read_text()), read_rows(data / "trials.csv")


def test_tuning_takes_the_best_of_the_grid_on_validation_images(script, data):
    """Of every pair of view and segmenter the best mean Dice is chosen; defaults come first."""
    chosen, trials = tune(script, data)
    tried = [json.loads(settings) for settings in trials.settings]
    pairs = [(t["view"]["sigma"], t["segmenter"]["sigma_relevance"]) for t in tried]
    assert pairs == [(8, 0.3), (8, 0.1), (40, 0.3), (40, 0.1)]
    assert chosen == tried[int(trials.dice.argmax())]
    assert trials.chosen.sum() == trials.default.sum() == trials.default[0] == 1
    assert (trials.n == 2).all()


def test_refinement_is_tuned_on_the_coarse_masks(script, data):
    """The CRF starts from the masks on disk and keeps the view that they were cut from."""
    np.save(data / "coarse.npy", np.stack([truth_of(row) for row in (7, 7, 6, 5, 4, 3)]))
    view = {"clip_percentile": 90, "sigma": 3}
    (data / "coarse.json").write_text(json.dumps({"view": view, "segmenter": {}}))
    coarse = files(data, coarse="coarse.npy", coarse_settings="coarse.json")
    grid = GRID | {"crf": {"bilateral_srgb": [13]}}
    chosen, trials = tune(script, data, segmenter=CRF, grid=grid, **coarse)
    assert chosen["view"] == view
    assert len(trials) == 2
    assert trials.dice.max() > 0.98


def test_tuning_is_on_images_that_show_their_target(script, data):
    """Images without a finding, or of an unknown outline, take no place among those tuned on."""
    masks = {row: truth_of(row) for row in range(N)} | {4: None, 5: 0 * truth_of(5)}
    with mask_rows(data / "truth.npy", data / "outlines.csv", SIDE) as append:
        for row, mask in masks.items():
            append(row, {0: mask})
    # The validation images 5, 4 and 3 are explained in this order.
    _, trials = tune(script, data, n_images=1)
    assert (trials.n == 1).all()
    assert trials.dice.max() > 0.8
    _, trials = tune(script, data, n_images=3)
    assert (trials.n == 1).all()


def test_without_validation_images_the_defaults_are_kept(script, data):
    """A study of test images alone has nothing to tune on, and goes on with the defaults."""
    table = read_rows(data / "targets.csv").assign(split="test")
    write_table(data / "targets.csv", table)
    chosen, trials = tune(script, data)
    assert chosen["view"] == {name: SMOOTHED[name] for name in chosen["view"]}
    assert (trials.n == 0).all()
    assert trials.chosen.tolist() == trials.default.tolist()


@pytest.mark.parametrize("segmenter", [DISC, OTSU])
def test_controls_are_prepared_on_training_images(script, data, segmenter):
    """A control has one mask per chosen image; Otsu finds the square, the disc its area."""
    names = {"samples": "samples.csv", "images": "images.npy", "truth": "truth.npy"}
    names |= {"outlines": "outlines.csv", "chosen": "chosen.csv"}
    written = files(data, masks="out.npy", facts="out.csv")
    main = script("segment_control")
    main(**files(data, **names), **written, segmenter=segmenter, display=[2, 2, 2])
    masks, facts = made(data, "out")
    assert facts.image_id.tolist() == ["i3", "i4", "i5", "i6", "i7"]
    expected = np.stack([truth_of(row) for row in range(3, 8)])
    if segmenter is OTSU:
        np.testing.assert_array_equal(masks, expected)
    else:
        assert masks.mean() == pytest.approx(expected.mean(), rel=0.1)


@pytest.fixture
def micranet(data):
    """Write a trained network, and predictions: none for one image and two for another."""
    torch.manual_seed(0)
    network = build(2, 4)
    # Rectification then removes no evidence for a class.
    network.fc.weight.data.abs_()
    save_weights(network, data / "weights.safetensors")
    statistics = {"mean": [0.1] * 4, "std": [0.2] * 4}
    (data / "statistics.json").write_text(json.dumps(statistics))
    (data / "card.json").write_text(json.dumps({"outputs": 2}))
    predicted = {"i3": "", "i4": "ab", "i5": "b", "i6": "a", "i7": "a"}
    table = [
        {"image_id": name, "class": label, "predicted": int(label in labels)}
        for name, labels in predicted.items()
        for label in "ab"
    ]
    write_table(data / "predictions.csv", pd.DataFrame(table))
    names = {"images": "images.npy", "chosen": "chosen.csv", "weights": "weights.safetensors"}
    names |= {name: f"{name}.json" for name in ("statistics", "card")}
    return files(data, **names, predictions="predictions.csv", masks="out.npy", facts="out.csv")


def segment_network(script, paths, **changed):
    """Segment the images of the second shard by MICRA-Net."""
    options = {"segmenter": MICRANET, "network": NETWORK, "classes": ["a", "b"], "shard": 1}
    options |= {"channels": list("rgbn"), "display": DISPLAY, "torch_threads": 1, "threads": 1}
    script("segment_network")(**paths | options | changed)


@pytest.mark.parametrize(("shard", "names"), [(0, ["i3"]), (1, ["i4", "i5", "i6", "i7"])])
def test_a_network_segments_the_images_of_a_shard(script, data, micranet, shard, names):
    """One mask per image of the shard, at its size; none where no class is predicted."""
    segment_network(script, micranet, shard=shard)
    masks, facts = made(data, "out")
    assert facts.image_id.tolist() == names
    assert masks.shape == (len(names), SIDE, SIDE)
    assert masks.any(axis=(1, 2)).tolist() == [name != "i3" for name in names]


def test_a_network_that_gives_nan_is_refused(script, data, micranet):
    """NaN of a network ends in one sentence that names the file and the image."""
    statistics = {"mean": [0.1] * 4, "std": [0.0] * 4}
    (data / "statistics.json").write_text(json.dumps(statistics))
    with pytest.raises(InputError, match=r"weights.safetensors: .*image i4 holds NaN"):
        segment_network(script, micranet)
