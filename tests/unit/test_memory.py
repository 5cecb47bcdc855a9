"""Memory of jobs that walk through images does not grow with their number."""

import json
import tracemalloc
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segxai.explain.maps import COLUMNS
from segxai.images.masks import mask_rows
from segxai.job.parallel import BLAS_THREADS

SIDE = 96
FEW, MANY = 20, 100
FRESH = {"pretrained": False, "weights": None, "normalisation": "training", "input_size": 16}
TRAINING = {
    **{"cross_entropy_weight": 1.0, "optimiser": "adam", "learning_rate": 0.01},
    **{"momentum": 0.0, "weight_decay": 0.0, "decay_every": 1, "decay_after": 1},
    **{"decay_factor": 0.5, "epochs": 1, "patience": None, "batch_size": 4},
    "augmentation": {"flip": 0.5, "jitter": 0.1, "rotation": 15},
    "images": None,
}
UNET = FRESH | {"method": "unet", "width": 2, "scope": "union", "training": TRAINING}
MORPHOLOGY = {
    **{"method": "morphology", "equalisation": "none", "dilate": 3, "erode": 3},
    **{"min_component": 0.005, "max_hole": 0.01},
}
MEASURED = [{"segmenter": "", "view": None, "reference": "truth", "metric": {"name": "dice"}}]
MEASURED[0] |= {"segmenter_definition": None, "metric": {"name": "dice", "method": "dice"}}


def study(folder: Path, n: int) -> Path:
    """Write `n` images with masks, attributions and their tables."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"image-{i}" for i in range(n)]
    samples = pd.DataFrame({"image_id": names, "group": "", "label": "lesion"})
    samples = samples.assign(split=["train", "validation"] * (n // 2), mask_pixels=1)
    samples.to_csv(folder / "samples.csv", index=False)
    chosen = samples.assign(row=range(n), shard=0)
    chosen.to_csv(folder / "chosen.csv", index=False)
    targets = chosen.assign(target_id=samples.image_id + ":lesion", kind="label", channel=0)
    targets.assign(correct=1).to_csv(folder / "targets.csv", index=False)
    np.save(folder / "images.npy", rng.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8))
    masks = rng.integers(0, 2, (n, SIDE, SIDE), np.uint8)
    with mask_rows(folder / "masks.npy", folder / "masks.csv", SIDE) as append:
        for row, mask in enumerate(masks):
            append(row, {0: mask})
    np.save(folder / "coarse.npy", masks)
    np.save(folder / "maps.npy", rng.random((n, 2, 24, 24)).astype(np.float16))
    facts = pd.DataFrame(1.0, index=range(n), columns=COLUMNS)
    facts = facts.assign(target_id=targets.target_id, image_id=names)
    facts.to_csv(folder / "maps.csv", index=False)
    (folder / "settings.json").write_text(json.dumps({"view": {}, "segmenter": {}}))
    (folder / "channels.json").write_text(json.dumps({"mean": [0.5] * 3, "std": [0.2] * 3}))
    return folder


def arguments(folder: Path) -> dict[str, dict]:
    """Arguments of each script's main function."""
    tables = {"samples": folder / "samples.csv", "images": folder / "images.npy"}
    truth = {"truth": folder / "masks.npy", "outlines": folder / "masks.csv"}
    written = {"masks": folder / "new.npy", "facts": folder / "new.csv"}
    return {
        "measure_statistics": tables | {"statistics": folder / "statistics.json"},
        "segment_control": tables
        | truth
        | written
        | {"chosen": folder / "chosen.csv", "segmenter": {"method": "otsu_grey"}}
        | {"display": [0, 1, 2]},
        "segment_maps": written
        | {"maps": folder / "maps.npy", "rows": folder / "maps.csv", "images": tables["images"]}
        | {"targets": folder / "targets.csv", "settings": folder / "settings.json"}
        | {"segmenter": MORPHOLOGY, "view": {"method": "relevance"}}
        | {"display": [0, 1, 2], "threads": 1},
        "score_masks": truth
        | {"masks": folder / "coarse.npy", "facts": folder / "maps.csv"}
        | {"samples": tables["samples"], "targets": folder / "targets.csv", "requests": MEASURED}
        | {"cell": {"dataset": "a", "network": "", "explainer": "", "segmenter": "b"}}
        | {"seed": 1, "scores": folder / "scores.csv"},
        "train_network": tables
        | truth
        | {"statistics": folder / "channels.json", "network": UNET, "classes": ["none", "lesion"]}
        | {"channels": ["red", "green", "blue"], "seed": 1, "threads": 1}
        | {"cell": {"dataset": "a", "network": "unet"}}
        | {name: folder / name for name in ("weights", "history", "card")},
        "gather_shards": {
            **{"arrays": [folder / "maps.npy"] * 2, "tables": [folder / "maps.csv"] * 2},
            **{"array": folder / "all.npy", "table": folder / "all.csv"},
        },
    }


@pytest.mark.parametrize("script", arguments(Path()))
def test_memory_is_flat_in_the_number_of_images(script, tmp_path, monkeypatch):
    """Five times as many images cost less than a quarter of a mask each."""
    for variable in BLAS_THREADS:
        monkeypatch.setenv(variable, "1")
    main = import_module(f"scripts.{script}").main
    peaks = []
    for n in (FEW, FEW, MANY):  # the first fills caches
        folder = study(tmp_path / f"{len(peaks)}", n)
        tracemalloc.start()
        main(**arguments(folder)[script])
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert (peaks[2] - peaks[1]) / (MANY - FEW) < SIDE**2 / 4
