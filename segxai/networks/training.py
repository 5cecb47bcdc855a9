"""The training loop of all models, early best by validation loss, and classifiers trained by it."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from segxai.images.arrays import LazyRows
from segxai.job.log import InputError, progress
from segxai.networks.augment import augment
from segxai.networks.inputs import intensities
from segxai.stats.classification import best_thresholds, multiclass_scores, multilabel_scores

OPTIMISERS = {
    "adam": lambda parameters, s: torch.optim.Adam(
        parameters, s["learning_rate"], weight_decay=s["weight_decay"]
    ),
    "sgd": lambda parameters, s: torch.optim.SGD(
        parameters, s["learning_rate"], momentum=s["momentum"], weight_decay=s["weight_decay"]
    ),
    "adamw": lambda parameters, s: torch.optim.AdamW(
        parameters, s["learning_rate"], weight_decay=s["weight_decay"]
    ),
}

LOSSES = {
    "cross_entropy": F.cross_entropy,
    "bce": lambda logits, labels: F.binary_cross_entropy_with_logits(
        logits, _multi_hot(labels, logits)
    ),
    # SegX's code hands sigmoid outputs to a loss that takes them for logits.
    "paper_code": lambda logits, labels: F.cross_entropy(
        logits.sigmoid(), _multi_hot(labels, logits)
    ),
}


def freeze(model: nn.Module, unfreeze_blocks: int | None) -> None:
    """Freeze all but the head, the last `unfreeze_blocks` blocks and the final norm after them.

    Parameters
    ----------
    unfreeze_blocks
        0 trains the head alone (linear probe); None trains everything.

    Raises
    ------
    InputError
        If blocks are to be trained in a model that has none or fewer.
    """
    model.requires_grad_(unfreeze_blocks is None)
    if unfreeze_blocks:
        blocks = getattr(model, "blocks", ())
        if len(blocks) < unfreeze_blocks:
            raise InputError(
                f"models.unfreeze_blocks: {unfreeze_blocks}, but the model has {len(blocks)} "
                "blocks; ask for fewer, or null for the whole model."
            )
        for part in (*blocks[-unfreeze_blocks:], model.norm):
            part.requires_grad_(True)
    model.get_classifier().requires_grad_(True)


class Patches:
    """Labelled patches, or whole images, read batch by batch.

    Parameters
    ----------
    pixels : ndarray or LazyRows of shape (N, H, W, 3), uint8
    labels : ndarray or LazyRows of shape (N,), (N, C) or (N, C, H, W)
        Class indices (int64); 0 or 1 for each class, where an image may show several; or masks of
        0 and 1 (uint8).
    size
        Side in pixels at which batches are given.
    device
        Where batches are given.
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


def train_classifier(
    model: nn.Module,
    training: Patches,
    validation: Patches,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    unfreeze_blocks: int | None,
    settings: dict,
    seed: int,
) -> pd.DataFrame:
    """Train a classifier and keep the epoch of least validation loss.

    With a frozen body and ``cached_views: v`` the body sees v augmented views of each patch once
    and the head is trained on their features, which is exact for the head and saves the body's
    passes in all later epochs; without, each epoch draws new augmentations as ExplainSeg does.

    Parameters
    ----------
    model
        Changed in place; ends in the best epoch's state.
    training, validation
        Patches of both subsets.
    normalise
        Map from intensities in 0…1 to the model's input.
    settings
        ``models.<name>.training`` of the configuration. ``loss: cross_entropy`` is for classes
        that exclude each other (softmax), ``bce`` and ``paper_code`` for those that may share an
        image (sigmoid); to these a class index stands for the one class that it names.
    seed
        Of batches, augmentation and dropping layers; the global generators are left as they were.

    Returns
    -------
    DataFrame
        One row per epoch: epoch, learning_rate, train_loss, validation_loss,
        validation_accuracy, validation_auroc, validation_f1 (macro averages over classes). With
        sigmoid losses F1 and accuracy are those at the thresholds of best validation F1.
    """
    freeze(model, unfreeze_blocks)
    generator = torch.Generator().manual_seed(seed)
    views, size = settings["cached_views"], settings["batch_size"]
    # Norm layers and dropout of a frozen body must not move either.
    model.train(unfreeze_blocks != 0)
    if unfreeze_blocks == 0 and views:
        forward = model.get_classifier()
        epochs = _cached_epochs(model, training, normalise, settings, generator)
        features = [(_features(model, normalise(x)), y) for x, y in validation.batches(size)]
    else:
        forward = model
        epochs = _augmented_epochs(training, normalise, settings, generator)
        features = None
    loss = LOSSES[settings["loss"]]

    def validate() -> dict[str, float]:
        held_out = features or ((normalise(x), y) for x, y in validation.batches(size))
        logits, labels = zip(*((forward(x), y) for x, y in held_out), strict=True)
        logits, labels = torch.cat(logits).float(), torch.cat(labels)
        if settings["loss"] == "cross_entropy":
            return classification_scores(logits, labels)
        return {"loss": loss(logits, labels).item()} | _sigmoid_scores(logits, labels)

    return fit(model, epochs, lambda x, y: loss(forward(x), y), validate, settings, seed)


def classification_scores(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Loss, accuracy, AUROC and F1 (macro averages over classes) of logits (N, C)."""
    probabilities = logits.double().softmax(dim=1).cpu().numpy()
    scores = multiclass_scores(probabilities, labels.cpu().numpy())
    return {"loss": F.cross_entropy(logits, labels).item()} | scores


def _sigmoid_scores(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    probabilities = logits.double().sigmoid().cpu().numpy()
    labels = _multi_hot(labels, logits).cpu().numpy()
    thresholds = best_thresholds(probabilities, labels)
    return multilabel_scores(probabilities, labels, thresholds).mean().to_dict()


def _multi_hot(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Labels as 0 or 1 for each class, (N, C), of the type of `logits`."""
    if labels.ndim == 1:
        labels = F.one_hot(labels, logits.shape[1])
    return labels.to(logits.dtype)


def fit(
    model: nn.Module,
    epochs: Iterator,
    batch_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    validate: Callable[[], dict[str, float]],
    settings: dict,
    seed: int,
) -> pd.DataFrame:
    """Train what asks for gradients in a model, and keep the epoch of least validation loss.

    Parameters
    ----------
    model
        Changed in place; ends in the best epoch's state. It is trained in the mode, training or
        evaluation, that it is given in.
    epochs
        Endless; each epoch yields batches (inputs, labels).
    batch_loss
        Loss of one batch.
    validate
        Gives the scores of the validation subset, `loss` among them; called in evaluation mode.
    settings
        `optimiser` with `learning_rate`, `momentum` and `weight_decay`; the number of `epochs`;
        `decay_every`, `decay_factor`: the learning rate is multiplied by the factor every so many
        epochs, counted from `decay_after` (warm-up) on; `patience`: training stops after so many
        epochs without improvement, null never.
    seed
        Of dropping layers.

    Returns
    -------
    DataFrame
        One row per epoch: epoch, learning_rate, train_loss, and a column ``validation_…`` per
        score.

    Raises
    ------
    InputError
        If the training loss or a weight is no longer a finite number.
    """
    optimised = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = OPTIMISERS[settings["optimiser"]](optimised, settings)
    schedule = torch.optim.lr_scheduler.StepLR(
        optimiser, settings["decay_every"], settings["decay_factor"]
    )
    mode, rows, best = model.training, [], None
    # Layers that drop (dropout, timm's patch drop) draw from the global generator and no other.
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


def _augmented_epochs(training, normalise, settings, generator) -> Iterator:
    """Endless epochs of freshly augmented, normalised batches."""
    while True:
        yield (
            (normalise(augment(x, generator=generator, **settings["augmentation"])), y)
            for x, y in training.batches(settings["batch_size"], generator)
        )


def _cached_epochs(model, training, normalise, settings, generator) -> Iterator:
    """Endless epochs of features of cached augmented views, one view an epoch in turn."""
    views, draws = settings["cached_views"], settings["augmentation"]
    cache = []
    for _ in progress(range(views), views, "augmented views through the frozen body"):
        parts = [
            (_features(model, normalise(augment(x, generator=generator, **draws))), y)
            for x, y in training.batches(settings["batch_size"])
        ]
        cache.append([torch.cat(part) for part in zip(*parts, strict=True)])
    while True:
        for features, labels in cache:
            order = torch.randperm(len(labels), generator=generator).to(labels.device)
            yield ((features[rows], labels[rows]) for rows in order.split(settings["batch_size"]))


@torch.no_grad()
def _features(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the head sees of inputs (B, 3, H, W)."""
    # A class token is a view: without the copy a cache of them keeps all other tokens alive.
    return model.forward_head(model.forward_features(x), pre_logits=True).clone()
