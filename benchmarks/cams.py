"""Ablation-CAM and Score-CAM beside the algorithms of their papers: passes, seconds, agreement.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/cams.py [--weights file] [--image file]

The papers run the whole network once for each channel of a feature map; so do reference
implementations. Here Ablation-CAM is a closed form behind a global pooling and a linear head, and
Score-CAM takes channels by their variance and stops when the map does not change any more. One
network (ResNet-50, random weights unless given), one image, one run, one after the other. The
process fails where a limit is missed.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.stats import spearmanr

# A script's own folder is on the path, the checkout is not.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segxai.datasets.phantoms.lesions import phantom_lesion
from segxai.explain.activations import upsampled
from segxai.explain.stream import Request
from segxai.explain.target import Label
from segxai.explainers import ablation_cam, score_cam
from segxai.job.device import torch_device
from segxai.networks.features import feature_layer, outputs_of
from segxai.networks.network import Network, build_network

BATCH = 32
FASTER, FEWER, ALIKE = 100, 5, 0.99


@torch.no_grad()
def whole_runs(network: Network, inputs: torch.Tensor, label: int) -> torch.Tensor:
    """Ablation-CAM by a run of the whole network for each channel (K + 1 passes)."""
    layer = feature_layer(network, 1, "ablation_cam")
    with outputs_of([layer.module]) as outputs:
        logit = network.outputs(inputs)[0, label]
    maps, lost = outputs[layer.module][0], []
    for channels in torch.arange(len(maps)).split(BATCH):

        def ablate(_, __, output, channels=channels):
            output = output.clone()
            output[torch.arange(len(channels)), channels] = 0
            return output

        hook = layer.module.register_forward_hook(ablate)
        lost.append(logit - network.outputs(inputs.expand(len(channels), -1, -1, -1))[:, label])
        hook.remove()
    cam = torch.einsum("k,khw->hw", torch.cat(lost), maps).relu()
    return upsampled(cam[None], inputs)[0]


def timed(run) -> tuple[torch.Tensor, float]:
    """What a function gives, and how many seconds it takes."""
    started = time.perf_counter()
    return run(), time.perf_counter() - started


def main() -> None:
    """Print passes, seconds and agreement, with limits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="resnet50", help="of timm")
    parser.add_argument("--weights", help="safetensors of the architecture")
    parser.add_argument("--image", type=Path, help="else a phantom")
    parser.add_argument("--size", type=int, default=96, help="side of the input, px")
    asked = parser.parse_args()
    definition = {"method": "timm_classifier", "architecture": asked.architecture, "arguments": {}}
    definition |= {"head_features": None, "pretrained": False, "weights": asked.weights}
    module = build_network(definition, 1000, 3, seed=0).eval().requires_grad_(False)
    half = [0.5] * 3
    network = Network(module, "classify", asked.size, half, half, torch_device(1))
    image = (
        np.array(Image.open(asked.image).convert("RGB"))
        if asked.image
        else phantom_lesion(0, 96)[0]
    )
    inputs = network.inputs(image[None])
    label = int(network.outputs(inputs)[0].argmax())

    def ours(method, **settings):
        request = Request(inputs[0], Label(label), torch.Generator().manual_seed(0))
        return next(method.explain(network, [request], stage=1, batch_size=BATCH, **settings))

    reference, slow = timed(lambda: whole_runs(network, inputs, label))
    own, fast = timed(lambda: ours(ablation_cam))
    variant = {"variant": "paper", "block": 128}
    every = ours(score_cam, tolerance=None, **variant)
    stopped = ours(score_cam, tolerance=0.01, **variant)
    alike = [
        spearmanr(a.flatten(), b.flatten()).statistic
        for a, b in ((own.values, reference), (stopped.values, every.values))
    ]
    rows = {
        "Ablation-CAM: seconds, whole runs over ours": (slow / fast, FASTER),
        "Ablation-CAM: Spearman with whole runs": (alike[0], ALIKE),
        "Score-CAM: passes, all channels over ours": (every.forwards / stopped.forwards, FEWER),
        "Score-CAM: Spearman with all channels": (alike[1], ALIKE),
    }
    table = pd.DataFrame(rows, index=["measured", "at least"]).T
    print(f"{asked.architecture}, {asked.size} px: {slow:.1f} s against {fast:.3f} s")
    print(table.to_string(float_format="{:.4g}".format))
    missed = table.index[table.measured < table["at least"]]
    if len(missed):
        sys.exit(f"missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
