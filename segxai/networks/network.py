"""Network, a frozen classifier or segmenter with its preprocessing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from segxai.explain.target import Target, evaluate
from segxai.job.files import read_facts
from segxai.job.log import InputError, reason
from segxai.networks.inputs import channel_statistics, intensities, normalise, restore
from segxai.networks.weights import load_backbone, read_state_dict
from segxai.workflow.plugins import load, network_task


def build_network(definition: dict, outputs: int, channels: int, seed: int) -> nn.Module:
    """Build a network from its definition: a fresh head on a fresh, local or published body.

    Parameters
    ----------
    definition
        ``networks.<name>`` of the configuration. `weights`, a local file for the body, overrides
        `pretrained`, the download of the method.
    outputs
        Classes of a classifier, masks of a segmenter; 0 for a body without a head.
    channels
        Channels of the images.
    seed
        Seed of the random initialisation; the global generators are not changed.

    Returns
    -------
    Module
        Maps inputs (B, channels, S, S) to logits (B, outputs) or (B, outputs, h, w).

    Raises
    ------
    InputError
        If the method refuses its settings, or weights are not available.
    """
    plugin, settings = load("networks", definition)
    if definition["pretrained"] and definition["weights"] is None:
        settings |= {"pretrained": True}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            module = plugin.build(outputs, channels, **settings)
        except InputError:
            raise
        # Each method raises other errors for its settings.
        except Exception as error:
            raise InputError(
                f"networks: {definition['method']} cannot be built with its settings "
                f"({reason(error)}); correct them."
            ) from error
    if definition["weights"] is not None:
        load_backbone(module, read_state_dict(definition["weights"]), definition["weights"])
    return module


@dataclass(frozen=True)
class Network:
    """A frozen network in evaluation mode, and how images become its inputs.

    `module` maps inputs (B, C, S, S) to logits (B, K), or (B, K, h, w) of a segmenter.
    """

    module: nn.Module
    task: str  # classify or segment
    input_size: int  # S
    mean: Sequence[float]  # of each channel, for standardising intensities
    std: Sequence[float]
    device: torch.device
    precision: str = "float32"  # or bfloat16, to run under autocast
    exclusive: bool = False  # whether its classes exclude each other (softmax)

    @classmethod
    def load(
        cls,
        weights: str | Path,
        card: str | Path,
        statistics: str | Path | None,
        definition: dict,
        channels: int,
        device: torch.device,
    ) -> "Network":
        """Load a network trained by this study.

        Parameters
        ----------
        weights, card, statistics
            Files of the training: ``weights.safetensors``, ``card.json`` with the number of
            outputs, and ``statistics.json`` of its images.
        definition, channels
            See :func:`build_network`.

        Raises
        ------
        InputError
            If the weights are unreadable, not finite, or of another network, or the card is
            damaged.
        """
        outputs = read_facts(card)["outputs"]
        fresh = definition | {"pretrained": False, "weights": None}
        module = build_network(fresh, outputs, channels, seed=0)
        try:
            module.load_state_dict(read_state_dict(weights))
        except RuntimeError as error:
            raise InputError(
                f"{weights}: not weights of {definition['method']} with {outputs} outputs; delete "
                "the file and run again to train it."
            ) from error
        return cls._frozen(module, definition, statistics, channels, device)

    @classmethod
    def published(cls, definition: dict, device: torch.device) -> "Network":
        """Load a published body of three channels without a head.

        Errors: see :func:`build_network`.
        """
        module = build_network(definition, outputs=0, channels=3, seed=0)
        return cls._frozen(module, definition, None, 3, device)

    @classmethod
    def _frozen(cls, module, definition, statistics, channels, device) -> "Network":
        known = channel_statistics(definition, statistics, channels)
        module, task = module.to(device).eval().requires_grad_(False), network_task(definition)
        exclusive = (definition.get("training") or {}).get("loss") == "cross_entropy"
        size = definition["input_size"]
        return cls(module, task, size, **known, device=device, exclusive=exclusive)

    def inputs(self, images: np.ndarray, side: int | None = None) -> torch.Tensor:
        """Normalised inputs (B, C, S, S), float32, of stored images (B, H, W, C).

        `side` is another than S, for images of which windows become inputs.
        """
        pixels = torch.tensor(images, device=self.device)
        return normalise(intensities(pixels, side or self.input_size), self.mean, self.std)

    def black(self) -> torch.Tensor:
        """Normalised black image (1, C, S, S)."""
        shape = 1, len(self.mean), self.input_size, self.input_size
        return normalise(torch.zeros(shape, device=self.device), self.mean, self.std)

    def grey(self, inputs: torch.Tensor) -> torch.Tensor:
        """Mean intensity over channels (B, 1, H, W), as the images had it, of inputs."""
        return restore(inputs, self.mean, self.std).mean(dim=1, keepdim=True)

    def outputs(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits (B, K) or (B, K, h, w), float32, of inputs (B, C, S, S), in `precision`."""
        reduced = self.precision == "bfloat16"
        with torch.autocast(inputs.device.type, torch.bfloat16, enabled=reduced):
            return self.module(inputs).float()

    def score(self) -> Callable[[torch.Tensor, Sequence[Target]], torch.Tensor]:
        """Function F from inputs (B, C, S, S) and B targets to their values (B,), float32."""
        return lambda inputs, targets: evaluate(self.outputs(inputs), targets)
