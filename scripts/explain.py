"""Signed attributions of one shard of the targets."""

import resource
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from segxai.datasets.selection import targets_of
from segxai.explain.job import bound_explainer, target_requests
from segxai.explain.maps import COLUMNS, is_constant, pack
from segxai.images.arrays import npy_rows, read_array
from segxai.job.device import torch_device
from segxai.job.files import atomic_path, read_facts, read_rows, write_table
from segxai.job.log import InputError, log, progress, run
from segxai.networks.network import Network


def main(
    samples, images, statistics, weights, card, targets, network, explainer, channels, selections,
    seed, shard, threads, maps, rows,
    precision_check=None,
):  # fmt: skip
    device = torch_device(threads)
    table, pixels = read_rows(samples), read_array(images)
    asked = targets_of(shard, read_rows(targets), table, selections)
    loaded = Network.load(weights, card, statistics, network, len(channels), device)
    if precision_check:
        loaded = replace(loaded, precision=read_facts(precision_check)["used"])
    explain, side = bound_explainer(explainer, loaded, pixels, table, seed)
    attributions = explain(loaded, target_requests(loaded, pixels, asked, seed, side))
    facts = write_maps(maps, asked, attributions, side, loaded.device, weights)
    write_table(rows, facts)
    if facts.constant.any():
        log.warning(
            "%d of %d maps are constant: they explain nothing; tables count them as n_constant",
            *(facts.constant.sum(), len(facts)),
        )
    log.info(
        "%d maps: median completeness error %.3f, %.1f forward-backward passes and %.2f s per map",
        len(facts),
        *(facts.completeness_error.median(), facts.gradients.mean(), facts.seconds.mean()),
    )


def write_maps(maps, targets, attributions, side, device, weights):
    """Write the maps of all targets one by one, and return the facts about them."""
    facts = []
    with atomic_path(maps) as path, npy_rows(path, (2, side, side), np.float16) as append:
        started = time.perf_counter()
        for target in progress(targets.itertuples(), len(targets), "targets explained"):
            attribution = next(attributions)
            packed, scale = summed(attribution.values, weights, target.target_id)
            append(packed)
            # The time of a map is that since the previous one: its share of a batch.
            seconds, started = time.perf_counter() - started, time.perf_counter()
            error = attribution.completeness_error
            cost = attribution.gradients, attribution.forwards, seconds, peak_bytes(device)
            names = target.target_id, target.image_id
            constant = int(is_constant(packed))
            facts.append((*names, scale, constant, attribution.gain, error, *cost))
    return pd.DataFrame(facts, columns=COLUMNS)


def summed(values, weights, name):
    """Sum an attribution (C, h, w) over channels for storage; refuse NaN."""
    if not torch.isfinite(values).all():
        raise InputError(
            f"{weights}: the attribution of {name} holds NaN; delete the file and run again to "
            "train it again, or set `precision: float32`."
        )
    return pack(values.sum(dim=0).cpu().numpy(), values.abs().sum(dim=0).cpu().numpy())


def peak_bytes(device):
    """Peak memory so far: of tensors on a GPU, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    run(main, snakemake)
