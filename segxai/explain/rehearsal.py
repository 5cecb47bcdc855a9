"""What a network is to be used for, asked once of one that is not trained yet."""

from collections.abc import Iterator

import numpy as np
import torch

from segxai.explain.stream import Request
from segxai.explain.target import Label, Region
from segxai.job.log import InputError, reason
from segxai.networks.keys import key_features
from segxai.networks.network import Network
from segxai.segmenters.network_inputs import keys, levels, load_network
from segxai.workflow.plugins import about, load


def rehearse(network: Network, definition: dict, uses: dict) -> None:
    """Ask a network for a pass, and for one of each thing that it is to be used for.

    Parameters
    ----------
    network
        With weights of any value: what does not suit its architecture or input size shows at once.
    definition
        ``networks.<name>`` of the configuration.
    uses
        As of :func:`segxai.workflow.studies.uses`.

    Raises
    ------
    InputError
        If the network refuses inputs of its `input_size`, or cannot be used so.
    """
    outputs = _pass(network, definition)
    shape = network.black().shape
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0), device="cpu")
    for explainer in uses["explainers"].values():
        everywhere = torch.ones(outputs.shape[-2:], dtype=torch.bool)
        target = Label(0) if network.task == "classify" else Region(0, everywhere)
        request = Request(noise[0], target, torch.Generator().manual_seed(0))
        _explain(network, request, explainer)
    if uses["features"]:
        key_features(network.module, noise)
    for segmenter in uses["segmenters"].values():
        _read(network, definition, segmenter)


def _pass(network: Network, definition: dict) -> torch.Tensor:
    """Outputs for the black image; where none come, a sentence with the nearest size that suits."""
    try:
        return network.outputs(network.black())
    except InputError:
        raise
    # Each architecture refuses sizes in its own way.
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


def _explain(network: Network, request: Request, explainer: dict) -> None:
    """Explain one request, with as few passes of as few inputs as the settings allow."""
    known = about("explainers", explainer["method"])["settings"]
    counts = {name for name, setting in known.items() if setting.get("type") == "integer"}
    least = {name: known[name]["minimum"] for name in counts if "minimum" in known[name]}
    method, settings = load("explainers", explainer | least)
    if "background" in settings:
        settings["background"] = network.black()
    try:
        next(iter(method.explain(network, [request], **settings)))
    except InputError:
        raise
    # An explainer may ask for whatever its network has not.
    except Exception as error:
        raise InputError(
            f"explainers: {explainer['method']} cannot explain {type(network.module).__name__} "
            f"({reason(error)}); choose another explainer or architecture."
        ) from error


def _read(network: Network, definition: dict, segmenter: dict) -> None:
    """Read of a network what a segmenter reads beside its output."""
    reads = about("segmenters", segmenter["method"])["reads"]
    if "levels" in reads:
        levels(network, np.zeros((8, 8, len(network.mean)), np.float32), 0)
    if "keys" in reads:
        fresh = definition | {"pretrained": False, "weights": None, "normalisation": "pretraining"}
        resized = load_network(fresh, segmenter, None, 3, network.device)
        keys(resized, np.zeros((8, 8, 3), np.float32), centre=False)
