"""Memory of jobs that walk through images does not grow with their number."""

import json
import tracemalloc
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segxai.job.parallel import BLAS_THREADS

SIDE = 96
FEW, MANY = 20, 100
SELECTION = {"split": None, "count": None, "seed": 1, "shards": 1}
NETWORK = {
    "arguments": {"width": 2},
    "input_size": 16,
    "normalisation": "training",
    "training": {
        **{"cross_entropy_weight": 1.0, "optimiser": "adam", "learning_rate": 0.01},
        **{"momentum": 0.0, "weight_decay": 0.0, "decay_every": 1, "decay_after": 1},
        **{"decay_factor": 0.5, "epochs": 1, "patience": None, "batch_size": 4},
        "augmentation": {"flip": 0.5, "jitter": 0.1, "rotation": 15},
    },
}


def study(folder: Path, n: int) -> Path:
    """Write `n` images with masks, relevance maps and their tables."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    pd.DataFrame(
        {
            "image_id": [f"image-{i}" for i in range(n)],
            "group": "",
            "split": ["train", "validation"] * (n // 2),
            "label": "lesion",
        }
    ).to_csv(folder / "samples.csv", index=False)
    np.save(folder / "images.npy", rng.integers(0, 256, (n, SIDE, SIDE, 3), np.uint8))
    np.save(folder / "masks.npy", rng.integers(0, 2, (n, SIDE, SIDE), np.uint8))
    maps = rng.random((n, SIDE, SIDE)).astype(np.float16)
    np.save(folder / "maps.npy", maps)
    for shard, part in enumerate(np.split((maps > 0.5).astype(np.uint8), 2)):
        np.save(folder / f"coarse-{shard}.npy", part)
    settings = {
        "smoothing": {"clip_percentile": 99, "sigma": 2},
        "morphology": {
            **{"equalisation": "none", "dilate": 3, "erode": 3},
            **{"min_component": 0.005, "max_hole": 0.01},
        },
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "channels.json").write_text(json.dumps({"mean": [0.5] * 3, "std": [0.2] * 3}))
    return folder


def arguments(folder: Path) -> dict[str, dict]:
    """Arguments of each script's main function."""
    tables = {"samples": folder / "samples.csv", "images": folder / "images.npy"}
    truth = {"truth": folder / "masks.npy"}
    one_shard = {"selection": SELECTION | {"shard": 0}, "masks": folder / "new.npy"}
    return {
        "measure_statistics": tables | {"statistics": folder / "statistics.json"},
        "segment_control": tables | truth | one_shard | {"method": "otsu"},
        "segment_relevance": {
            **{"maps": folder / "maps.npy", "features": [], "method": "morphology"},
            **{"settings": folder / "settings.json", "workers": 1, "masks": folder / "new.npy"},
        },
        "score_masks": truth
        | {"samples": tables["samples"], "selection": SELECTION, "segmenter": "any", "seed": 1}
        | {"masks": [folder / f"coarse-{shard}.npy" for shard in range(2)]}
        | {"scores": folder / "scores.csv"},
        "train_segmenter": tables
        | {
            "masks": truth["truth"],
            "statistics": folder / "channels.json",
            "scope": "union",
            "seed": 1,
            "threads": 1,
        }
        | {name: folder / name for name in ("weights", "history", "card")}
        | {"model": NETWORK},
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
