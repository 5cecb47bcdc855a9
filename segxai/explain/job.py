"""What a job asks of an explainer: its targets as requests, and the explainer with its settings."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
import pandas as pd
import torch

from segxai.datasets.selection import background_rows
from segxai.explain.stream import Attribution, Request
from segxai.explain.target import Label, Region
from segxai.explain.windows import map_side, windowed
from segxai.job.seeds import image_seed
from segxai.networks.network import Network
from segxai.workflow.plugins import load


def target_requests(
    network: Network, images: np.ndarray, targets: pd.DataFrame, seed: int, side: int | None = None
) -> Iterator[Request]:
    """Yield one request per row of a list of targets, when it is needed.

    Parameters
    ----------
    network
    images : ndarray of shape (N, H, W, C)
        Of the data set; may be memory-mapped.
    targets : DataFrame
        Rows of ``results/targets``: image_id, row, kind, channel. The region of a target is where
        the network's logits are above 0 for the clean image.
    seed
        Seed of the study; random draws of an image depend on it and the image's name only.
    side
        Of the inputs in px, as of :func:`bound_explainer`; None for that of the network's input. A
        region is of an input of that side alone.

    Yields
    ------
    Request
    """
    for target in targets.itertuples():
        inputs = network.inputs(images[target.row][None], side)
        generator = torch.Generator().manual_seed(image_seed(seed, target.image_id))
        channel = int(target.channel)
        asked = Label(channel) if target.kind == "label" else region(network, inputs, channel)
        yield Request(inputs[0], asked, generator)


def bound_explainer(
    definition: dict, network: Network, images: np.ndarray, samples: pd.DataFrame, seed: int
) -> tuple[Callable[[Network, Iterable[Request]], Iterator[Attribution]], int]:
    """Load an explainer with its settings, its background images and its windows, if any.

    Parameters
    ----------
    definition
        ``explainers.<name>`` of the configuration.
    network
        Network whose inputs the background images become.
    images, samples
        Of the data set: ndarray of shape (N, H, W, C), and ``samples.csv``.
    seed
        Of the draw of background images.

    Returns
    -------
    explain
        Makes attributions of requests to a network.
    side
        Of the attributions in px, and of the inputs of the requests that it takes.
    """
    method, settings = load("explainers", definition)
    if "background" in settings:
        rows = background_rows(samples, settings["background"], seed)
        settings["background"] = torch.cat([network.inputs(images[row][None]) for row in rows])
    explain, windows = partial(method.explain, **settings), definition["windows"]
    if windows is None:
        return explain, network.input_size
    side = map_side(network.input_size, images.shape[1], windows["grids"])
    return partial(windowed, explain, side=side, **windows), side


@torch.no_grad()
def region(network: Network, inputs: torch.Tensor, channel: int) -> Region:
    """Fixed region of a channel that a segmenter predicts in (1, C, S, S): logits above 0."""
    return Region(channel, network.module(inputs)[0, channel] > 0)
