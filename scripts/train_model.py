"""Fine-tune a classifier on the labelled patches of a data set."""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch

from segxai.data.arrays import read_array
from segxai.data.records import read_rows
from segxai.models.classifier import build_classifier, normalise, save_classifier
from segxai.models.training import Patches, train_classifier
from segxai.runtime import InputError, atomic_path, job, log, torch_device


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
    row_of = {name: row for row, name in enumerate(read_rows(samples).image_id)}
    table = read_rows(patches)
    table["row"] = table.image_id.map(row_of)
    pixels = read_array(images)
    subsets = {
        split: read_patches(pixels, table[table.split == split], split, classes, model, device)
        for split in ("train", "validation")
    }
    channel = json.loads(Path(statistics).read_text())
    network = build_classifier(
        model["architecture"],
        model["arguments"],
        len(classes),
        model["pretrained"],
        model["weights"],
        seed,
    ).to(device)
    rows = train_classifier(
        network,
        subsets["train"],
        subsets["validation"],
        partial(normalise, mean=channel["mean"], std=channel["std"]),
        model["unfreeze_blocks"],
        model["training"],
        seed,
    )
    with atomic_path(weights) as path:
        save_classifier(network, path)
    with atomic_path(history) as path:
        rows.to_csv(path, index=False, float_format="%.6g")
    facts = {
        **model,
        "classes": classes,
        "seed": seed,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "patches": {split: len(subset) for split, subset in subsets.items()},
        "best": best_epoch(rows),
        "device": str(device),
        "torch": torch.__version__,
        "seconds": round(time.perf_counter() - started, 1),
    }
    with atomic_path(card) as path:
        path.write_text(json.dumps(facts, indent=2) + "\n")


def best_epoch(rows) -> dict:
    """Row of the history whose weights were kept."""
    best = rows.loc[rows.validation_loss.idxmin()].round(6).to_dict()
    log.info(
        "best epoch %d: validation accuracy %.3f, AUROC %.3f, F1 %.3f",
        best["epoch"],
        best["validation_accuracy"],
        best["validation_auroc"],
        best["validation_f1"],
    )
    return best


def read_patches(pixels, table, split, classes, model, device) -> Patches:
    """Gather the windows of images that `table` lists, with their class indices."""
    counts = table.label.value_counts()
    empty = [name for name in classes if counts.get(name, 0) == 0]
    if empty:
        raise InputError(
            f"no {split} patch is labelled '{empty[0]}'; "
            "use more images (`max_images`) or correct `classes` of the data set."
        )
    windows = np.stack(
        [
            pixels[row.row, row.y : row.y + row.height, row.x : row.x + row.width]
            for row in table.itertuples()
        ]
    )
    labels = table.label.map(classes.index).to_numpy()
    return Patches(windows, labels, model["input_size"], device)


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
