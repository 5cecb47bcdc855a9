"""Operations and memory per image for each network of config/config.yaml.

    .venv/bin/python benchmarks/count_operations.py

Nothing is timed, so the numbers hold for any device. The networks have random weights. A pass keeps
what its backward pass needs: bytes that grow with the batch. Kernels need more memory, so a device
holds more than the count. PyTorch's counter misses the fused attention of CPUs, a twelfth of what
ViT-S/16 computes.
"""

import sys
from pathlib import Path

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

# The script's own folder is on the path, but not the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segxai.networks.network import build_network
from segxai.workflow.plugins import resolve

ROOT = Path(__file__).resolve().parents[1]
# Networks with their use and the side of their input in px.
EXPLAINED = [("vit-small-dino", 224), ("resnet50", 256), ("densenet121", 256)]
TRAINED = [("micranet", 224), ("resnet50", 256), ("densenet121", 256), ("unet", 256)]
FORWARD = [("vit-small-dino", 224), ("dino-small-16", 448), ("dino-base-8", 480), ("unet", 256)]


def build(definition: dict, size: int) -> torch.nn.Module:
    """Build a network of the configuration with random weights."""
    fresh = definition | {"pretrained": False}
    # By default transformers take only their own size.
    if "vit" in definition.get("architecture", ""):
        fresh["arguments"] = definition["arguments"] | {"img_size": size}
    outputs = 1 if definition["method"] == "unet" else 10
    return build_network(fresh, outputs, channels=3, seed=0)


def count(network: torch.nn.Module, size: int, images: int, of: str) -> tuple[int, int]:
    """Floating-point operations of one pass over some images, and bytes kept for its backward."""
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    network.train(of == "train")
    network.requires_grad_(of == "train")
    # Without a backward pass nothing is kept, and shapes suffice for counting.
    device = "meta" if of == "forward" else "cpu"
    network.to(device)
    x = torch.rand(images, 3, size, size, requires_grad=of == "explain", device=device)
    with (
        FlopCounterMode(display=False) as counter,
        torch.set_grad_enabled(of != "forward"),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        score = network(x).sum()
        if of != "forward":
            score.backward()
    return counter.get_total_flops(), sum(kept.values())


def main() -> None:
    """Print one row per network and kind of pass."""
    networks = resolve(yaml.safe_load((ROOT / "config/config.yaml").read_text()))["networks"]
    print("pass      network          px  M parameters   GFLOP  MB kept  batch", flush=True)
    for of, chosen in (("explain", EXPLAINED), ("train", TRAINED), ("forward", FORWARD)):
        for name, size in chosen:
            network = build(networks[name], size)
            (flops, first), (_, second) = (count(network, size, images, of) for images in (1, 2))
            parameters = sum(values.numel() for values in network.parameters()) / 1e6
            batch = networks[name]["training"]["batch_size"] if of == "train" else ""
            print(
                f"{of:9} {name:15} {size:3} {parameters:13.1f} {flops / 1e9:7.1f} "
                f"{(second - first) / 1e6:8.1f} {batch:6}",
                flush=True,
            )


if __name__ == "__main__":
    main()
