"""Compare Integrated Gradients of this study with Captum's on a network that the study trained.

    .venv/bin/python benchmarks/attribution.py runs/kvasir --images 20 --references 3

The same network, images, noise and target class for all, one image after the other, so that a busy
machine slows all alike. Ours is as config/config.yaml has it; "coarser" has fewer nodes and is
about as complete as Captum's default. The reference is Captum's with 300 steps per noisy copy:
1,500 passes an image, hence the few. Agreement with Captum's default is given for all images.
"""

import argparse
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml
from scipy.stats import spearmanr
from torch.utils.flop_counter import FlopCounterMode

# A script's own folder is on the path, the checkout is not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segxai.explain.stream import Request
from segxai.explainers.captum_integrated_gradients import captum_gradients
from segxai.explainers.integrated_gradients import integrated_gradients
from segxai.images.arrays import read_array
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.seeds import image_seed
from segxai.networks.network import Classifier

CONFIG = Path(__file__).resolve().parents[1] / "config"
CLASSES = ["background", "polyp"]
OURS = yaml.safe_load((CONFIG / "config.yaml").read_text())["explainers"]["integrated-gradients"]
NOISE = {key: OURS[key] for key in ("noise_samples", "noise_std")}
STEPS = {key: OURS[key] for key in ("steps", "probe", "tolerance", "max_steps", "batch_size")}
CAPTUM = (captum_gradients, {"steps": 50, "batch_size": 50, **NOISE})
COARSER = {"steps": 4, "tolerance": 0.4, "max_steps": 16}
ENGINES = {
    "captum": CAPTUM,
    "ours": (integrated_gradients, STEPS | NOISE),
    "coarser": (integrated_gradients, STEPS | NOISE | COARSER),
}
REFERENCE = (captum_gradients, {"steps": 300, "batch_size": 50, **NOISE})
COLUMNS = [
    "engine",
    "image_id",
    "seconds",
    "error",
    "gradients",
    "forwards",
    "vs_default",
    "vs_300",
]


@cache
def study(folder: Path, threads: int) -> tuple:
    """Classifier, samples, pixels and predicted classes of a run of config/kvasir-subset.yaml."""
    name = "kvasir-seg/vit-small-saliency/seed-1"
    model = yaml.safe_load((CONFIG / "kvasir-subset.yaml").read_text())["models"]
    results, data = folder / "results", folder / "results/data/kvasir-seg"
    classifier = Classifier.load(
        str(results / "models" / name / "weights.safetensors"),
        str(data / "statistics.json"),
        model["vit-small-saliency"],
        len(CLASSES),
        torch_device(threads),
    )
    predictions = read_rows(results / f"predictions/{name}.csv").query("predicted == 1")
    targets = predictions.set_index("image_id")["class"]
    return classifier, read_rows(data / "samples.csv"), read_array(data / "images.npy"), targets


def attribute(folder, threads, row, precision, engine, settings) -> tuple:
    """Explain one image: its attribution, and the seconds that took."""
    classifier, samples, pixels, targets = study(folder, threads)
    name = samples.image_id[row]
    generator = torch.Generator().manual_seed(image_seed(1, name))
    target = CLASSES.index(targets[name])
    requests = [Request(classifier.inputs(pixels[row]), target, generator)]
    start = time.perf_counter()
    (found,) = engine(classifier.scores(precision), requests, classifier.black(), **settings)
    values = found.values.cpu()
    return found, values.abs().sum(dim=1).flatten().numpy(), time.perf_counter() - start


def peak_memory(folder, threads, row, precision, engine, settings) -> float:
    """MiB that explaining one image needs beside the network; asked of a process of its own."""
    classifier, *_ = study(folder, threads)
    if classifier.device.type == "cuda":
        before = torch.cuda.memory_allocated()
        attribute(folder, threads, row, precision, engine, settings)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attribute(folder, threads, row, precision, engine, settings)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def matmul_share(folder, threads, precision, batch_size, gradients_per_second) -> float:
    """Part of the measured peak of a product of matrices that forward-backward passes reach."""
    classifier, *_ = study(folder, threads)
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    side = 8192 if classifier.device.type == "cuda" else 2048
    a = torch.randn(side, side, device=classifier.device, dtype=kind)
    durations = []
    for _ in range(5):
        start = time.perf_counter()
        (a @ a)[0, 0].item()
        durations.append(time.perf_counter() - start)
    peak = 2 * side**3 / min(durations)
    # Not a leaf of the graph: the counter's hooks cannot stop at one.
    points = classifier.black().repeat(batch_size, 1, 1, 1).requires_grad_().clone()
    target = torch.zeros(batch_size, dtype=torch.long, device=classifier.device)
    with FlopCounterMode(display=False) as counter:
        torch.autograd.grad(classifier.scores(precision)(points, target).sum(), points)
    return counter.get_total_flops() / batch_size * gradients_per_second / peak


def arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="folder of a run of config/kvasir-subset.yaml")
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--references", type=int, default=3, help="images with a reference")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--output", type=Path, help="CSV to which rows are added as they come")
    return parser.parse_args()


def main() -> None:
    """Print a row per engine, the mean over images."""
    asked = arguments()
    where = asked.study, asked.threads
    _, samples, *_ = study(*where)
    images = np.random.default_rng(1).permutation(len(samples))[: asked.images]
    rows = []
    for position, row in enumerate(images):
        maps, reference = {}, None
        if position < asked.references:
            reference = attribute(*where, row, "float32", *REFERENCE)[1]
        for name, (engine, settings) in ENGINES.items():
            precision = "float32" if engine is captum_gradients else asked.precision
            found, maps[name], seconds = attribute(*where, row, precision, engine, settings)
            agreement = [
                np.nan if other is None else spearmanr(maps[name], other).statistic
                for other in (maps["captum"], reference)
            ]
            facts = seconds, found.completeness_error, found.gradients, found.forwards
            rows.append([name, samples.image_id[row], *facts, *agreement])
            if asked.output:
                pd.DataFrame(rows, columns=COLUMNS).to_csv(asked.output, index=False)
    table = pd.DataFrame(rows, columns=COLUMNS).drop(columns="image_id")
    summary = table.groupby("engine", sort=False).mean()
    summary.insert(2, "median error", table.groupby("engine")["error"].median())
    summary.insert(1, "ratio", summary.seconds["captum"] / summary.seconds)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        for name, call in ENGINES.items():
            task = pool.submit(peak_memory, *where, images[0], asked.precision, *call)
            summary.loc[name, "peak MiB"] = task.result()
    per_second = summary.gradients / summary.seconds
    summary["of matmul peak"] = [
        matmul_share(*where, asked.precision, STEPS["batch_size"], each) for each in per_second
    ]
    print(summary.to_string(float_format="{:.4g}".format))


if __name__ == "__main__":
    main()
