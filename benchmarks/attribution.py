"""Comparison of Integrated Gradients with Captum's on a network of a finished run.

    .venv/bin/python benchmarks/attribution.py runs/kvasir --images 20 --references 3

All methods use the same network, images, noise and targets, one image after the other, so that
other load affects all of them. "ours" has the defaults of `integrated_gradients`; "coarser" has
fewer nodes and about the completeness of Captum's default. The reference is Captum's with 300 steps
per noisy copy: 1,500 passes per image, so it covers few images. Agreement with Captum's default is
given for all images.
"""

import argparse
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from scipy.stats import spearmanr
from torch.utils.flop_counter import FlopCounterMode

# The script's own folder is on the path, but not the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segxai.explain.job import target_requests
from segxai.explain.target import Label
from segxai.explainers import captum_integrated_gradients, integrated_gradients
from segxai.images.arrays import read_array
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.networks.network import Network

OURS = {
    name: setting["default"] for name, setting in integrated_gradients.ABOUT["settings"].items()
}
NOISE = {key: OURS[key] for key in ("noise_samples", "noise_std", "fill")}
COARSER = {"steps": 4, "tolerance": 0.4, "max_steps": 16}
METHODS = {
    "captum": (captum_integrated_gradients, {"steps": 50, "batch_size": 50, **NOISE}),
    "ours": (integrated_gradients, OURS),
    "coarser": (integrated_gradients, OURS | COARSER),
}
REFERENCE = (captum_integrated_gradients, {"steps": 300, "batch_size": 50, **NOISE})
COLUMNS = [
    "method",
    "target_id",
    "seconds",
    "error",
    "gradients",
    "forwards",
    "vs_default",
    "vs_300",
]


@cache
def study(folder: Path, threads: int) -> tuple:
    """Network, pixels and targets of the first data set and network of a run's ExplainSeg."""
    results = folder / "results"
    config = yaml.safe_load((results / "config.yaml").read_text())
    chosen = config["studies"]["explainseg"]
    dataset, name = chosen["datasets"][0], chosen["networks"][0]
    data, model = results / "data" / dataset, results / f"models/{dataset}/{name}/seed-1"
    network = Network.load(
        model / "weights.safetensors",
        model / "card.json",
        data / "statistics.json",
        config["networks"][name],
        len(config["datasets"][dataset]["channels"]),
        torch_device(threads),
    )
    targets = read_rows(results / f"targets/{dataset}/{name}/seed-1.csv")
    return network, read_array(data / "images.npy"), targets


def attribute(folder, threads, row, precision, method, settings) -> tuple:
    """Explain one target; return the attribution and the seconds."""
    network, pixels, targets = study(folder, threads)
    network = replace(network, precision=precision)
    requests = list(target_requests(network, pixels, targets.iloc[[row]], seed=1))
    start = time.perf_counter()
    (attribution,) = method.explain(network, requests, **settings)
    values = attribution.values.cpu()
    seconds = time.perf_counter() - start
    return attribution, values.abs().sum(dim=0).flatten().numpy(), seconds


def peak_memory(folder, threads, row, precision, method, settings) -> float:
    """MiB for explaining one target besides the network, measured in a separate process."""
    network, *_ = study(folder, threads)
    call = folder, threads, row, precision, import_module(method), settings
    if network.device.type == "cuda":
        before = torch.cuda.memory_allocated()
        attribute(*call)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attribute(*call)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def matmul_share(folder, threads, precision, batch_size, gradients_per_second) -> float:
    """Part of the measured peak of a product of matrices that forward-backward passes reach."""
    network = replace(study(folder, threads)[0], precision=precision)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    side = 8192 if network.device.type == "cuda" else 2048
    a = torch.randn(side, side, device=network.device, dtype=kind)
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ a)[0, 0].item()
        durations.append(time.perf_counter() - start)
    peak = 2 * side**3 / min(durations)
    # Not a leaf of the graph: the counter's hooks cannot stop at one.
    points = network.black().repeat(batch_size, 1, 1, 1).requires_grad_().clone()
    with FlopCounterMode(display=False) as counter:
        score = network.score()(points, [Label(0)] * batch_size)
        torch.autograd.grad(score.sum(), points)
    return counter.get_total_flops() / batch_size * gradients_per_second / peak


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a run of the study explainseg")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--references", type=int, default=3, help="images with a reference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--output", type=Path, help="CSV to which rows are added as they come")
    return parser.parse_args()


def main() -> None:
    """Print a row per method, the mean over targets."""
    asked = arguments()
    where = asked.study, asked.threads
    _, _, targets = study(*where)
    chosen = np.random.default_rng(1).permutation(len(targets))[: asked.images]
    rows = []
    for position, row in enumerate(chosen):
        maps, reference = {}, None
        if position < asked.references:
            reference = attribute(*where, row, "float32", *REFERENCE)[1]
        for name, (method, settings) in METHODS.items():
            precision = "float32" if method is captum_integrated_gradients else asked.precision
            result, maps[name], seconds = attribute(*where, row, precision, method, settings)
            agreement = [
                np.nan if other is None else spearmanr(maps[name], other).statistic
                for other in (maps["captum"], reference)
            ]
            facts = seconds, result.completeness_error, result.gradients, result.forwards
            rows.append([name, targets.target_id[row], *facts, *agreement])
            if asked.output:
                pd.DataFrame(rows, columns=COLUMNS).to_csv(asked.output, index=False)
    table = pd.DataFrame(rows, columns=COLUMNS).drop(columns="target_id")
    summary = table.groupby("method", sort=False).mean()
    summary.insert(2, "median error", table.groupby("method")["error"].median())
    summary.insert(1, "ratio", summary.seconds["captum"] / summary.seconds)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name, (method, settings) in METHODS.items():
            call = *where, chosen[0], asked.precision, method.__name__, settings
            summary.loc[name, "peak MiB"] = pool.submit(peak_memory, *call).result()
    per_second = summary.gradients / summary.seconds
    summary["of matmul peak"] = [
        matmul_share(*where, asked.precision, OURS["batch_size"], speed) for speed in per_second
    ]
    print(summary.to_string(float_format="{:.4g}".format))


if __name__ == "__main__":
    main()
