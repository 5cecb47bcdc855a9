"""Times of cuts, of the originals' dense solver, of diffusion and clusters, and of whole images.

    .venv/bin/python benchmarks/time_cuts.py

One BLAS and one torch thread, as each worker of the study has. The networks have random weights:
their cost is that of trained ones, and their keys are centred because they are nearly identical
otherwise.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.linalg
import timm
import torch
from skimage.data import astronaut
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

# The script's own folder is on the path, but not the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from segxai.job.parallel import map_images
from segxai.networks.inputs import intensities, normalise
from segxai.networks.keys import key_features
from segxai.segmenters import best_cluster, clusters, maskcut
from segxai.segmenters.spectral import normalized_cut
from segxai.segmenters.tokens import cut_tokens, token_affinity
from segxai.views.affinity import key_affinity
from segxai.views.diffused import diffuse
from segxai.views.grey import cells

TOKENS = (196, 784, 3600)
# Sides of the grids of tokens that relevance is diffused over.
SIDES = (14, 16, 32)
# Published input sizes: sides rounded to multiples of the patch, and 480 × 480.
METHODS = {
    "TokenCut": ("vit_small_patch16_224.dino", 512, 0.2),
    "MaskCut": ("vit_small_patch8_224.dino", 480, 0.15),
}


def seconds(function: Callable, repeats: int) -> tuple[float, object]:
    """Shortest duration of some calls, and the last result."""
    shortest = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest, result


def dense_cut(affinity: np.ndarray) -> np.ndarray:
    """Second generalised eigenvector by the originals' dense solver."""
    degree = np.diag(affinity.sum(axis=1))
    return scipy.linalg.eigh(degree - affinity, degree, subset_by_index=[1, 2])[1][:, 0]


def agreement(vector: np.ndarray, other: np.ndarray) -> float:
    """Fraction of nodes on the same side, for either naming of the sides."""
    same = ((vector > vector.mean()) == (other > other.mean())).mean()
    return max(same, 1 - same)


def compare(affinity: np.ndarray, repeats: int) -> dict:
    """Time both solvers on one graph."""
    dense, expected = seconds(lambda: dense_cut(affinity), repeats)
    ours, (vector, eigengap) = seconds(lambda: normalized_cut(affinity), max(repeats, 3))
    return {
        "dense [s]": dense,
        "ours [s]": ours,
        "ratio": dense / ours,
        "same side": agreement(vector, expected),
        "eigengap": eigengap,
    }


def random_tokens(n: int, width: int) -> np.ndarray:
    """N random tokens around five centres."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((5, width))
    return centres[rng.integers(0, 5, n)] + 0.7 * rng.standard_normal((n, width))


def time_solver(n: int) -> dict:
    """Both solvers on the graph of n random tokens."""
    tokens = random_tokens(n, 64)[None]
    return {"tokens": n, **compare(token_affinity(tokens, 0.2), 1 if n > 1000 else 5)}


def time_keys(side: int) -> dict:
    """Diffusion over the keys of one image, and masks of their clusters, at 224 px."""
    keys = random_tokens(side**2, 384).reshape(side, side, 384).astype(np.float16)
    grey = np.random.default_rng(0).random((224, 224))
    spread = partial(diffuse, cells(grey, (side, side)), alpha=0.9)
    timed = {
        "diffusion [s]": lambda: spread(key_affinity(keys, 8)),
        "clusters [s]": lambda: clusters.segment(grey, keys, 8, 8, True),
        "best clusters [s]": lambda: best_cluster.segment(grey, keys, grey > 0.9, 8, 8, True),
    }
    return {"tokens": side**2} | {name: seconds(work, 5)[0] for name, work in timed.items()}


def time_method(name: str) -> dict:
    """Stages of one method on one image, and the cut beside as many dense ones."""
    architecture, side, tau = METHODS[name]
    torch.set_num_threads(1)
    network = timm.create_model(architecture, num_classes=0, dynamic_img_size=True).eval()
    pixels = intensities(torch.from_numpy(astronaut())[None], side)
    inputs = normalise(pixels, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD)
    image = (255 * pixels[0]).byte().permute(1, 2, 0).numpy()
    extraction, keys = seconds(lambda: key_features(network, inputs, centre=True), 1)
    features = keys[0].numpy()
    if name == "TokenCut":
        cut, cuts = seconds(lambda: [cut_tokens(features, tau)], 3)
        finish = 0.0
    else:
        cut, cuts = seconds(lambda: list(maskcut.cut_objects(features, tau, 3)), 1)
        masks = [cut.mask for cut in cuts if cut.mask.any()]
        finish, _ = seconds(lambda: maskcut.refine(masks, image), 1)
    dense = len(cuts) * seconds(lambda: dense_cut(token_affinity(features, tau)), 1)[0]
    stages = {"features [s]": extraction, "cut [s]": cut, "CRF [s]": finish}
    whole, original = sum(stages.values()), dense + extraction + finish
    ratios = {"dense cut [s]": dense, "ratio of cuts": dense / cut, "of images": original / whole}
    return {"method": name, "tokens": features[..., 0].size, "cuts": len(cuts), **stages, **ratios}


def main() -> None:
    """Print the tables."""
    # The workers of `map_images` have one BLAS thread, wherever this is run.
    solvers = [*map_images(time_solver, TOKENS, len(TOKENS), 1, "solver")]
    keys = [*map_images(time_keys, SIDES, len(SIDES), 1, "keys")]
    methods = [*map_images(time_method, METHODS, len(METHODS), 1, "images")]
    for rows in (solvers, keys, methods):
        print(pd.DataFrame(rows).to_string(index=False, float_format="{:.4g}".format))


if __name__ == "__main__":
    main()
