"""What the maps of one shard keep with noise, other draws, another class and random weights."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from segxai.datasets.selection import chosen_rows, repeated_targets
from segxai.explain.disturbed import (
    CALIBRATING,
    OTHERS,
    again,
    cascade,
    distance,
    noisy,
    null,
    other_class,
)
from segxai.explain.job import bound_explainer, target_requests
from segxai.explain.maps import Maps, pack, read_maps
from segxai.images.arrays import npy_rows, read_array
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_facts, read_rows, write_table
from segxai.job.log import log, progress, run
from segxai.job.seeds import image_seed
from segxai.metrics.disturbance import NOISY, WIDTH, Disturbance
from segxai.metrics.scoring import places
from segxai.metrics.similarity import similarity
from segxai.networks.network import Network, build_network


def main(
    samples, images, statistics, weights, card, targets, maps, map_rows, network, explainer,
    channels, selections, n_images, seed, shard, threads, disturbed, rows,
    precision_check=None,
):  # fmt: skip
    device = torch_device(threads)
    table, pixels = read_rows(samples), read_array(images)
    asked = repeated_targets(read_rows(targets), table, selections, n_images)
    asked = asked[asked.shard == shard]
    loaded = Network.load(weights, card, statistics, network, len(channels), device)
    if precision_check:
        loaded = replace(loaded, precision=read_facts(precision_check)["used"])
    stored = read_maps(maps, map_rows)
    place_of = places(asked.target_id, stored.table.target_id, map_rows)
    seeds = [image_seed(seed, name) for name in asked.image_id]
    explain, side = bound_explainer(explainer, loaded, pixels, table, seed)
    anew = image_seed(seed, "drawn anew")
    redraw, _ = bound_explainer(explainer, loaded, pixels, table, anew)

    def requests(own_seed=seed):
        # Regions are those that the trained network predicts, whichever is explained.
        return target_requests(loaded, pixels, asked, own_seed, side)

    def compared(measure, changed, repeats, places, explain=explain):
        made = progress(explain(changed, repeats), len(places), "maps made again")
        pairs = zip(places, made, strict=True)
        return [measure(signed(a.values), stored[place].signed) for place, a in pairs]

    noise = compared(
        distance, loaded, copies(loaded, requests(), seeds), np.repeat(place_of, NOISY)
    )
    whole = target_requests(loaded, pixels, asked, seed)
    classes = [other_class(loaded, request) for request in whole]
    there = np.array([label is not None for label in classes], dtype=bool)
    pairs = zip(requests(), classes, strict=True)
    of_class = (again(request, target=label) for request, label in pairs if label is not None)
    other = np.full(len(asked), np.nan)
    other[there] = compared(similarity, loaded, of_class, place_of[there])
    draws = compared(similarity, loaded, requests(anew), place_of, redraw)
    # Weights that no training began from.
    own, untrained = image_seed(seed, "randomised"), {"pretrained": False, "weights": None}
    fresh = build_network(network | untrained, read_facts(card)["outputs"], len(channels), own)
    some = chosen_rows(table, [{"split": None, "images": CALIBRATING, "seed": seed}])
    calibrating = torch.cat([loaded.inputs(pixels[row][None]) for row in some])
    random = cascade(loaded, fresh, calibrating)
    kept = [compared(similarity, changed, requests(), place_of) for changed in random]
    nulls = [null_of(stored, place, own) for place, own in zip(place_of, seeds, strict=True)]
    columns = np.reshape(noise, (-1, NOISY)), other, draws, np.transpose(kept), nulls
    with atomic_path(disturbed) as path, npy_rows(path, (WIDTH,), np.float32) as append:
        for parts in zip(*columns, strict=True):
            append(Disturbance(*parts).row())
    write_table(rows, asked[["target_id"]])
    means = pd.DataFrame({"kept": kept[-1], "null": nulls}, dtype=float).mean()
    log.info("%d maps made again: randomised %.2f alike, null %.2f", len(asked), *means)


def copies(network, requests, seeds):
    """Yield the requests of noisy copies of each request's input."""
    for request, own in zip(requests, seeds, strict=True):
        for inputs in noisy(network, request.inputs, own):
            yield again(request, inputs=inputs)


def null_of(stored, place, seed):
    """Compare a stored map with those of some other images, drawn by seed."""
    names = stored.table.image_id.to_numpy()
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(names != names[place]))
    return null(stored[place].signed, (stored[row].signed for row in rows[:OTHERS]))


def signed(values):
    """Sum an attribution (C, h, w) over channels, rounded as it is on the disk."""
    arrays = values.sum(dim=0).cpu().numpy(), values.abs().sum(dim=0).cpu().numpy()
    packed, scale = pack(*arrays)
    return Maps(packed[None], pd.DataFrame({"scale": [scale]}))[0].signed


if __name__ == "__main__":
    run(main, snakemake)
