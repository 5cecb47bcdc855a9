"""Classifiers from timm with a trainable head, and what is read from them."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import timm
import torch
from torch import nn

from segxai.job.log import InputError, reason
from segxai.networks import micranet  # noqa: F401  (makes it known to timm)
from segxai.networks.inputs import channel_statistics, intensities, normalise, split_windows
from segxai.networks.weights import load_backbone, read_state_dict


def build_classifier(
    architecture: str,
    arguments: dict,
    n_classes: int,
    pretrained: bool,
    weights: str | None,
    seed: int,
    head_features: int | None = None,
) -> nn.Module:
    """Build a timm classifier with a fresh head (ExplainSeg §3.2).

    Parameters
    ----------
    architecture, arguments
        timm model name and further arguments of :func:`timm.create_model`.
    n_classes
        Outputs of the head.
    pretrained
        Start the body from timm's download for this architecture.
    weights
        Local file for the body instead of the download; wins over `pretrained`.
    seed
        Seed of everything initialised at random; the global generators are left as they were.
    head_features
        Hidden features of a head Linear–ReLU–Linear (SegX's code has 256); None for one Linear.

    Raises
    ------
    InputError
        If timm does not know the architecture or its arguments, or weights cannot be had.
    """
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), cutoff=0.4)
        raise InputError(
            f"models.architecture: timm has no '{architecture}'; the nearest are "
            f"{', '.join(near) or 'none'} (all: `timm.list_models()`)."
        )
    download = pretrained and weights is None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            model = timm.create_model(
                architecture, pretrained=download, num_classes=n_classes, **arguments
            )
        # Each architecture refuses arguments in its own way.
        except Exception as error:
            if download and not isinstance(error, TypeError):
                raise InputError(
                    f"the pretrained weights of {architecture} could not be downloaded "
                    f"({reason(error)}); set `weights` to a local file, or `pretrained: false` to "
                    "train from scratch."
                ) from error
            raise InputError(
                f"models.arguments of {architecture} cannot be used ({reason(error)}); correct "
                "them."
            ) from error
        if head_features is not None:
            _deepen_head(model, head_features)
    if weights is not None:
        load_backbone(model, read_state_dict(weights), weights)
    return model


def _deepen_head(model: nn.Module, features: int) -> None:
    last = model.get_classifier()
    head = nn.Sequential(
        nn.Linear(last.in_features, features), nn.ReLU(), nn.Linear(features, last.out_features)
    )
    model.set_submodule(model.pretrained_cfg["classifier"], head)


@dataclass(frozen=True)
class Classifier:
    """A frozen network in evaluation mode, with the preprocessing that belongs to it.

    `mean` and `std` are the channel statistics that inputs are standardised by.
    """

    network: nn.Module
    input_size: int
    mean: list[float]
    std: list[float]
    device: torch.device

    @classmethod
    def load(
        cls, weights: str, statistics: str, model: dict, n_classes: int, device: torch.device
    ) -> "Classifier":
        """Load a classifier trained by this study.

        Raises
        ------
        InputError
            If the weights are unreadable, not finite, or of another model.
        """
        architecture = model["architecture"]
        network = build_classifier(
            architecture, model["arguments"], n_classes, False, None, 0, model["head_features"]
        )
        try:
            network.load_state_dict(read_state_dict(weights))
        except RuntimeError as error:
            raise InputError(
                f"{weights}: not weights of {architecture} with {n_classes} classes; delete the "
                "file and run again to train it anew."
            ) from error
        channel = channel_statistics(model, statistics)
        return cls._frozen(network, model, channel["mean"], channel["std"], device)

    @classmethod
    def published(cls, model: dict, device: torch.device) -> "Classifier":
        """Load a body with the weights and the normalisation that it was published with.

        It has no head. Parameters and errors as of :func:`build_classifier`.
        """
        start = model["architecture"], model["arguments"], 0
        network = build_classifier(*start, model["pretrained"], model["weights"], seed=0)
        channel = channel_statistics(model, None)
        return cls._frozen(network, model, channel["mean"], channel["std"], device)

    @classmethod
    def _frozen(cls, network: nn.Module, model: dict, mean, std, device) -> "Classifier":
        network = network.to(device).eval().requires_grad_(False)
        return cls(network, model["input_size"], list(mean), list(std), device)

    def inputs(self, image: np.ndarray, grid: int = 1) -> torch.Tensor:
        """Normalised windows (grid², 3, S, S) of an image (H, W, 3), uint8."""
        windows = torch.tensor(split_windows(image, grid), device=self.device)
        return normalise(intensities(windows, self.input_size), self.mean, self.std)

    def black(self) -> torch.Tensor:
        """Normalised black image (1, 3, S, S): the baseline of Integrated Gradients."""
        size = self.input_size
        return normalise(torch.zeros(1, 3, size, size, device=self.device), self.mean, self.std)

    def scores(
        self, precision: str = "float32", compiled: bool = False
    ) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Score F of any class: from inputs (B, 3, S, S) and classes (B,) to logits (B,), float32.

        ``precision: bfloat16`` runs the network under autocast; `compiled` hands it to
        :func:`torch.compile` first.
        """
        network = torch.compile(self.network, dynamic=False) if compiled else self.network

        def logit(x: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
            with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                logits = network(x)
            return logits[torch.arange(len(x), device=x.device), targets].float()

        return logit


def image_probabilities(logits: torch.Tensor, loss: str) -> np.ndarray:
    """Class probabilities of an image from the logits of its windows.

    An image shows a class where any of its windows does: the maximum over windows. Of classes that
    exclude each other, the first is the one without finding, which an image shows only where all
    windows do: its minimum. One window is left as it is.

    Parameters
    ----------
    logits : Tensor of shape (W, C)
    loss
        What the classifier was trained with: ``cross_entropy`` for classes that exclude each other
        (softmax), any other for labels that may share an image (sigmoid).

    Returns
    -------
    ndarray of shape (C,), float64
    """
    logits = logits.double().cpu()
    if loss != "cross_entropy":
        return logits.sigmoid().amax(dim=0).numpy()
    windows = logits.softmax(dim=1)
    probabilities = windows.amax(dim=0)
    probabilities[0] = windows[:, 0].min()
    return probabilities.numpy()
