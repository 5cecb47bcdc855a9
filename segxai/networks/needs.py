"""Check, before training, that a network has everything that is read from it."""

from collections.abc import Iterator

import numpy as np
import torch

from segxai.explain.removal import check_tokens
from segxai.job.log import InputError, reason
from segxai.networks.network import Network
from segxai.segmenters.network_inputs import keys, levels, load_network
from segxai.workflow.plugins import load


def check_needs(network: Network, definition: dict, needs: dict) -> None:
    """Run a network once, and take everything that is read from it later.

    Parameters
    ----------
    network
        The weights may have any value: the check concerns architecture and input size.
    definition
        ``networks.<name>`` of the configuration.
    needs
        See :func:`segxai.workflow.studies.needs`.

    Raises
    ------
    InputError
        If the network refuses inputs of its `input_size`, or lacks what is needed.
    """
    _check_size(network, definition)
    for explainer in needs["explainers"]:
        method, settings = load("explainers", explainer)
        if hasattr(method, "check"):
            method.check(network, **settings)
    if "tokens" in needs["fills"]:
        check_tokens(network, "metrics: `fill: tokens`")
    if needs["levels"]:
        levels(network, np.zeros((8, 8, len(network.mean)), np.float32), 0)
    fresh = definition | {"pretrained": False, "weights": None, "normalisation": "pretraining"}
    for size in needs["keys"]:
        asked = network
        if size != network.input_size:
            asked = load_network(fresh, size, None, 3, network.device)
        keys(asked, np.zeros((8, 8, len(asked.mean)), np.float32), centre=False)


def _check_size(network: Network, definition: dict) -> None:
    """Refuse an input size that the network cannot take; name the nearest possible one."""
    try:
        network.outputs(network.black())
    except InputError:
        raise
    # Each architecture raises other errors for a size.
    except Exception as error:
        size, name = network.input_size, definition.get("architecture", definition["method"])
        suits = next((side for side in _sides_near(size) if _takes(network, side)), None)
        instead = f"`input_size: {suits}`" if suits else "another `input_size`"
        raise InputError(
            f"networks.input_size: {size} px does not suit {name} ({reason(error)}); set "
            f"{instead}, or `arguments` of {name} that allow it (such as `img_size`)."
        ) from error


def _takes(network: Network, side: int) -> bool:
    try:
        network.outputs(torch.zeros(1, len(network.mean), side, side))
    except Exception:
        return False
    return True


def _sides_near(size: int) -> Iterator[int]:
    """Multiples of common patches and strides, the nearest to a size first."""
    sides = {side for step in (14, 16) for side in range(step, max(2 * size, 512) + 1, step)}
    yield from sorted(sides, key=lambda side: abs(side - size))
