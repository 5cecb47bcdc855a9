"""Training loop of all networks; the epoch of least validation loss is kept."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import nn

from segxai.images.arrays import LazyRows
from segxai.job.log import InputError, progress
from segxai.networks.inputs import intensities

OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}


class LabelledImages:
    """Labelled images, whole ones or patches, read batch by batch.

    Parameters
    ----------
    pixels : ndarray or LazyRows of shape (N, H, W, C)
    labels : ndarray or LazyRows of shape (N,), (N, K) or (N, K, H, W)
        Class indices (int64); 0 or 1 for each class, where an image may show several; or masks of
        0 and 1 (uint8).
    size
        Side of the images of a batch in pixels.
    device
        Device of the batches.
    """

    def __init__(
        self,
        pixels: np.ndarray | LazyRows,
        labels: np.ndarray | LazyRows,
        size: int,
        device: torch.device,
    ):
        self.pixels = pixels
        self.labels = labels
        self.size = size
        self.device = device

    def __len__(self) -> int:
        return len(self.labels)

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (intensities, labels) in batches, shuffled where a generator is given."""
        n = len(self)
        order = torch.arange(n) if generator is None else torch.randperm(n, generator=generator)
        for rows in map(torch.Tensor.numpy, order.split(batch_size)):
            pixels, labels = (
                torch.from_numpy(np.asarray(source[rows])).to(self.device)
                for source in (self.pixels, self.labels)
            )
            yield intensities(pixels, self.size), labels


def fit(
    model: nn.Module,
    epochs: Iterator,
    batch_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    validate: Callable[[], dict[str, float]],
    settings: dict,
    seed: int,
) -> pd.DataFrame:
    """Train all parameters with gradients, and keep the epoch of least validation loss.

    Parameters
    ----------
    model
        Changed in place; ends in the best epoch's state. Its mode, training or evaluation, is kept
        during training.
    epochs
        Endless; each epoch yields batches (inputs, labels).
    batch_loss
        Loss of one batch.
    validate
        Function without arguments: the scores of the validation subset, with `loss`; called in
        evaluation mode.
    settings
        `optimiser` with `learning_rate`, `momentum` and `weight_decay`; the number of `epochs`;
        `decay_every`, `decay_factor`: the learning rate is multiplied by the factor every so many
        epochs, counted from `decay_after` (warm-up) on; `patience`: training stops after so many
        epochs without improvement, null never.
    seed
        Seed of dropout.

    Returns
    -------
    DataFrame
        One row per epoch: epoch, learning_rate, train_loss, and a column ``validation_…`` per
        score.
    """
    optimised = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kind, rate = settings["optimiser"], settings["learning_rate"]
    momentum = {"momentum": settings["momentum"]} if kind == "sgd" else {}
    optimiser = OPTIMISERS[kind](optimised, rate, weight_decay=settings["weight_decay"], **momentum)
    schedule = torch.optim.lr_scheduler.StepLR(
        optimiser, settings["decay_every"], settings["decay_factor"]
    )
    mode, rows, best = model.training, [], None
    # Dropout layers (and timm's patch drop) draw from the global generator only.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        n = settings["epochs"]
        for epoch in progress(range(1, n + 1), n, "training epochs"):
            model.train(mode)
            losses = []
            for x, y in next(epochs):
                loss = batch_loss(x, y)
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                losses.append(loss.detach())
            row = {"epoch": epoch, "learning_rate": optimiser.param_groups[0]["lr"]}
            row["train_loss"] = torch.stack(losses).mean().item()
            finite = all(parameter.isfinite().all() for parameter in optimised)
            if not (finite and np.isfinite(row["train_loss"])):
                raise InputError(
                    f"training diverged in epoch {epoch} (loss {row['train_loss']}); lower "
                    "`training.learning_rate`."
                )
            model.eval()
            with torch.no_grad():
                scores = validate()
            rows.append(row | {f"validation_{name}": value for name, value in scores.items()})
            if best is None or scores["loss"] < best[0]:
                best = scores["loss"], epoch, copy.deepcopy(model.state_dict())
            if epoch - best[1] == settings["patience"]:
                break
            if epoch > settings["decay_after"]:
                schedule.step()
    model.load_state_dict(best[2])
    return pd.DataFrame(rows)
