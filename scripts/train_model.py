"""Fine-tune a classifier on the labelled patches of a data set."""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.models.classifier import build_classifier, normalise, save_classifier
from segxai.models.training import Patches, train_classifier
from segxai.runtime import atomic_path, job, log, torch_device


def main(
    samples,
    images,
    patches,
    statistics,
    model,
    classes,
    seed,
    threads,
    weights,
    history,
    card,
):
    started = time.perf_counter()
    device = torch_device(threads)
    pixels, names = read_array(images), read_rows(samples).image_id
    rows_of = pd.Series(range(len(names)), index=names)
    subsets = {
        split: read_patches(pixels, rows_of, table, classes, model["input_size"], device)
        for split, table in read_rows(patches).groupby("split", sort=False)
    }
    network = build_classifier(
        *(model["architecture"], model["arguments"], len(classes)),
        *(model["pretrained"], model["weights"], seed, model["head_features"]),
    ).to(device)
    channel = json.loads(Path(statistics).read_text())
    epochs = train_classifier(
        network,
        subsets["train"],
        subsets["validation"],
        partial(normalise, mean=channel["mean"], std=channel["std"]),
        model["unfreeze_blocks"],
        model["training"],
        seed,
    )
    facts = {
        **model,
        "classes": classes,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "patches": {split: len(subset) for split, subset in subsets.items()},
        "best": best_epoch(epochs),
        "device": str(device),
        "torch": torch.__version__,
        "seconds": round(time.perf_counter() - started, 1),
    }
    with atomic_path(weights) as path:
        save_classifier(network, path)
    with atomic_path(history) as path:
        epochs.to_csv(path, index=False, float_format="%.6g")
    with atomic_path(card) as path:
        path.write_text(json.dumps(facts, indent=2) + "\n")


def best_epoch(epochs) -> dict:
    """Row of the history whose weights were kept."""
    best = epochs.loc[epochs.validation_loss.idxmin()].round(6).to_dict()
    shown = (f"{name} {best[f'validation_{name}']:.3f}" for name in ("accuracy", "auroc", "f1"))
    log.info("best epoch %d on validation patches: %s", best["epoch"], ", ".join(shown))
    return best


def read_patches(pixels, rows_of, table, classes, size, device) -> Patches:
    """Gather the windows of images that `table` lists, with their class indices."""
    windows = [
        pixels[rows_of[row.image_id], row.y : row.y + row.height, row.x : row.x + row.width]
        for row in table.itertuples()
    ]
    return Patches(np.stack(windows), table.label.map(classes.index), size, device)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            patches=snakemake.input.patches,
            statistics=snakemake.input.statistics,
            model=snakemake.params.model,
            classes=snakemake.params.classes,
            seed=int(snakemake.wildcards.seed),
            threads=snakemake.params.threads,
            weights=snakemake.output.weights,
            history=snakemake.output.history,
            card=snakemake.output.card,
        )
