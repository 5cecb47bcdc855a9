"""From images to attributions through the scripts: a U-Net's regions on phantoms."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import binary_dilation

from scripts import check_precision, choose_targets, explain, gather_shards, predict, train_network
from segxai.datasets.phantoms.lesions import phantom_lesion
from segxai.explain.maps import read_maps
from segxai.images.masks import mask_rows, read_masks
from segxai.job.files import read_facts, read_rows
from segxai.job.log import InputError
from segxai.workflow.plugins import about, methods

RGB = ["red", "green", "blue"]
SIZE = 32
UNET = {
    **{"method": "unet", "width": 4, "pretrained": False, "weights": None, "input_size": SIZE},
    **{"normalisation": "training", "scope": "union", "unfreeze_blocks": None},
    "training": {
        **{"loss": "segmentation", "cross_entropy_weight": 0.5, "optimiser": "adam"},
        **{"learning_rate": 0.01, "momentum": 0.0, "weight_decay": 0.0, "decay_every": 1},
        **{"decay_after": 30, "decay_factor": 0.95, "epochs": 25, "patience": None},
        **{"batch_size": 4, "augmentation": {"flip": 0.0, "jitter": 0.0, "rotation": 0}},
        "images": None,
    },
}
# Few passes; whatever else a method can be set to stays at its default.
SMALL = {"steps": 3, "noise_samples": 2, "background": 4, "samples": 5, "batch_size": 8}
SMALL |= {"passes": 12, "segments": 4, "window": 12, "stride": 8}


def explainer(method: str) -> dict:
    """Define an explainer."""
    known = about("explainers", method)["settings"]
    settings = {name: setting["default"] for name, setting in known.items()}
    small = {name: value for name, value in SMALL.items() if name in settings}
    return {"method": method, "precision": "float32", "windows": None} | settings | small


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Return a folder of twelve phantoms and of a U-Net that has memorised their lesions."""
    folder = tmp_path_factory.mktemp("study")
    drawn = [pair for pair in (phantom_lesion(i, SIZE) for i in range(60)) if pair[1].any()][:12]
    samples = pd.DataFrame({"image_id": [f"lesion-{i}" for i in range(12)], "group": ""})
    samples = samples.assign(split=["train", "validation"] * 6, label="lesion")
    samples["mask_pixels"] = [mask.sum() for _, mask in drawn]
    samples.to_csv(folder / "samples.csv", index=False)
    np.save(folder / "images.npy", np.stack([image for image, _ in drawn]))
    with mask_rows(folder / "masks.npy", folder / "masks.csv", SIZE) as append:
        for row, (_, mask) in enumerate(drawn):
            append(row, {0: mask.astype(np.uint8)})
    (folder / "statistics.json").write_text(json.dumps({"mean": [0.5] * 3, "std": [0.2] * 3}))
    train_network.main(
        **{name: folder / file for name, file in INPUTS.items()},
        **{"truth": folder / "masks.npy", "outlines": folder / "masks.csv", "network": UNET},
        **{"classes": ["none", "lesion"], "channels": RGB, "seed": 1, "threads": 1},
        **{name: folder / file for name, file in MODEL.items()},
        cell=CELL,
        history=folder / "history.csv",
    )
    predict.main(
        **network_files(folder),
        **{"classes": ["none", "lesion"], "predictions": folder / "predictions.csv"},
        **{"cell": CELL, "seed": 1},
    )
    selections = [{"split": None, "images": None, "seed": 1}]
    for shards in (1, 3):
        choose_targets.main(
            *(folder / "samples.csv", folder / "predictions.csv", ["none", "lesion"]),
            *(selections, shards, folder / f"targets-{shards}.csv"),
        )
    return folder


INPUTS = {"samples": "samples.csv", "images": "images.npy", "statistics": "statistics.json"}
CELL = {"dataset": "phantoms", "network": "unet"}
MODEL = {"weights": "weights.safetensors", "card": "card.json"}


def network_files(folder: Path) -> dict:
    """What every job of the network reads."""
    files = {name: folder / file for name, file in (INPUTS | MODEL).items()}
    return files | {"network": UNET, "channels": RGB, "threads": 1}


EVERY_IMAGE = [{"split": None, "images": None, "seed": 1}]


def explained(folder: Path, method: str, shards: int) -> tuple[Path, Path]:
    """Explain all regions in some shards, and gather them."""
    names = [f"{method}-{shards}-{shard}" for shard in range(shards)]
    for shard, name in enumerate(names):
        explain.main(
            **network_files(folder),
            **{"targets": folder / f"targets-{shards}.csv", "explainer": explainer(method)},
            **{"seed": 1, "shard": shard, "selections": EVERY_IMAGE},
            **{"maps": folder / f"{name}.npy", "rows": folder / f"{name}.csv"},
        )
    whole = folder / f"{method}-{shards}.npy", folder / f"{method}-{shards}.csv"
    parts = [[folder / f"{name}.{suffix}" for name in names] for suffix in ("npy", "csv")]
    gather_shards.main(*parts, *whole)
    return whole


def test_no_segmenter_learns_from_an_unknown_outline(tmp_path):
    """Images with a finding and without one are learnt from, one of unknown outline is not."""
    known = np.zeros((8, 8), np.uint8)
    known[2:5, 2:5] = 1
    by_row = [known, 0 * known, None]
    table = pd.DataFrame({"split": "train", "mask_pixels": [9, 0, np.nan]})
    with mask_rows(tmp_path / "masks.npy", tmp_path / "masks.csv", 8) as append:
        for row, mask in enumerate(by_row):
            append(row, {0: mask})
    masks = read_masks(tmp_path / "masks.npy", tmp_path / "masks.csv", table)
    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    pixels[2] = 255
    given = train_network.outlined(pixels, table, masks, False, "train", 8, torch.device("cpu"))
    images, labels = next(given.batches(4))
    assert len(given) == len(images) == 2
    assert images.max() == 0
    assert labels.sum(dim=(1, 2, 3)).tolist() == [9, 0]


def test_a_segmenter_learns_from_a_few_masks(study, tmp_path):
    """The card counts them and the validation images, all of which stay."""
    training = UNET["training"] | {"images": 2, "epochs": 1}
    train_network.main(
        **{name: study / file for name, file in INPUTS.items()},
        **{"truth": study / "masks.npy", "outlines": study / "masks.csv"},
        **{"classes": ["none", "lesion"], "channels": RGB, "seed": 1, "threads": 1},
        **{name: tmp_path / file for name, file in MODEL.items()},
        **{"network": UNET | {"training": training}, "cell": CELL, "history": tmp_path / "h.csv"},
    )
    assert read_facts(tmp_path / "card.json")["patches"] == {"train": 2, "validation": 6}


def test_a_segmenters_predictions_are_its_regions(study):
    """One row per image and channel, at the network's resolution; the card gives their number."""
    predictions = read_rows(study / "predictions.csv")
    assert read_facts(study / "card.json")["outputs"] == 1
    assert list(predictions)[:3] == ["image_id", "split", "class"]
    assert predictions["class"].unique().tolist() == ["region-0"]
    assert ((predictions.mask_fraction > 0) == predictions.predicted).all()
    regions = predictions[predictions.predicted == 1]
    assert len(regions) >= 8
    assert regions.confidence.between(0, 1, inclusive="neither").all()


@pytest.mark.parametrize("method", methods("explainers"))
def test_regions_are_explained_the_same_in_any_shards(study, method):
    """Maps in three shards are those in one, byte for byte, with all that was counted."""
    if "region" not in about("explainers", method)["targets"]:
        pytest.skip("explains no regions")
    whole, parts = explained(study, method, 1), explained(study, method, 3)
    assert whole[0].read_bytes() == parts[0].read_bytes()
    single, three = (read_maps(*files).table for files in (whole, parts))
    varying = ["seconds", "peak_bytes"]
    pd.testing.assert_frame_equal(single.drop(columns=varying), three.drop(columns=varying))
    assert single.target_id.tolist() == read_rows(study / "targets-1.csv").target_id.tolist()
    assert (single.peak_bytes > 1e6).all()


@pytest.mark.parametrize("method", ["integrated_gradients", "gradient_shap"])
def test_a_region_rests_on_its_own_surroundings(study, method):
    """Attributions crowd around the predicted lesion, and complete ones sum to the gain."""
    maps = read_maps(*explained(study, method, 1))
    samples = read_rows(study / "samples.csv")
    truth = read_masks(study / "masks.npy", study / "masks.csv", samples)
    rows = read_rows(study / "targets-1.csv").row
    ratios = []
    for place, row in enumerate(rows):
        signed, magnitude = maps[place]
        near = binary_dilation(truth.union(row), iterations=3)
        ratios.append(magnitude[near].sum() / magnitude.sum() / near.mean())
        gain = maps.table.gain[place]
        error = abs(signed.astype(np.float64).sum() - gain) / abs(gain)
        assert error == pytest.approx(maps.table.completeness_error[place], abs=0.01)
    # Twice as much as if relevance were spread evenly.
    assert np.mean(ratios) > 2


def test_only_reduced_precision_is_checked(study):
    """Without reduced precision the check costs no pass, and float32 is used."""
    check_precision.main(
        **network_files(study),
        **{"targets": study / "targets-1.csv", "explainer": explainer("grad_cam")},
        **{"seed": 1, "precision": study / "precision.json"},
    )
    facts = read_facts(study / "precision.json")
    assert facts == {"asked": "float32", "used": "float32", "images": 0} | dict.fromkeys(
        ["spearman", "completeness_loss"]
    )


def test_attributions_that_are_not_finite_name_the_weights():
    """A map of NaN is never written: the sentence names the weights and the target."""
    values = torch.full((3, 2, 2), torch.nan)
    with pytest.raises(InputError, match=r"w\.safetensors: .*lesion-0:region-0 holds NaN"):
        explain.summed(values, "w.safetensors", "lesion-0:region-0")
