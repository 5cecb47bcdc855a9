"""Classifiers: losses, training and class probabilities."""

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from segxai.job.log import InputError, progress
from segxai.networks.augment import augment
from segxai.networks.training import LabelledImages, fit
from segxai.stats.classification import best_thresholds, multiclass_scores, multilabel_scores

LOSSES = {
    "cross_entropy": F.cross_entropy,
    "bce": lambda logits, labels: F.binary_cross_entropy_with_logits(
        logits, _multi_hot(labels, logits)
    ),
    # SegX's code passes sigmoid outputs to a loss that expects logits.
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
    """
    model.requires_grad_(unfreeze_blocks is None)
    if unfreeze_blocks:
        blocks = getattr(model, "blocks", ())
        if len(blocks) < unfreeze_blocks:
            raise InputError(
                f"networks.unfreeze_blocks: {unfreeze_blocks}, but the network has {len(blocks)} "
                "blocks; set fewer, or null for the whole model."
            )
        if not hasattr(model, "norm"):
            raise InputError(
                f"networks.unfreeze_blocks: {unfreeze_blocks}, but blocks of "
                f"{type(model).__name__} are not those of a transformer; set 0 for the head alone, "
                "or null for the whole model."
            )
        for part in (*blocks[-unfreeze_blocks:], model.norm):
            part.requires_grad_(True)
    model.get_classifier().requires_grad_(True)


def train_classifier(
    model: nn.Module,
    training: LabelledImages,
    validation: LabelledImages,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    unfreeze_blocks: int | None,
    settings: dict,
    seed: int,
) -> pd.DataFrame:
    """Train a classifier and keep the epoch of least validation loss.

    With a frozen body and ``cached_views: v`` the body processes v augmented views of each patch
    once and the head is trained on their features, which is exact for the head and saves the body's
    passes in all later epochs. Without it, each epoch draws new augmentations, as in ExplainSeg.

    Parameters
    ----------
    model
        Changed in place; ends in the best epoch's state.
    training, validation
        Labelled images of both subsets.
    normalise
        Map from intensities in 0…1 to the model's input.
    settings
        ``networks.<name>.training`` of the configuration. ``loss: cross_entropy`` is for classes
        that exclude each other (softmax), ``bce`` and ``paper_code`` for those that may share an
        image (sigmoid); for these, a class index means that class alone.
    seed
        Seed of batches, augmentation and dropout; the global generators are not changed.

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
    # Norm layers and dropout of a frozen body must stay fixed, too.
    model.train(unfreeze_blocks != 0)
    if unfreeze_blocks == 0 and views:
        forward = model.get_classifier()
        epochs = _cached_epochs(model, training, normalise, settings, generator)
        features = [(last_features(model, normalise(x)), y) for x, y in validation.batches(size)]
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
    probabilities = class_probabilities(logits, "cross_entropy")
    scores = multiclass_scores(probabilities, labels.cpu().numpy())
    return {"loss": F.cross_entropy(logits, labels).item()} | scores


def _sigmoid_scores(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    probabilities = class_probabilities(logits, "bce")
    labels = _multi_hot(labels, logits).cpu().numpy()
    thresholds = best_thresholds(probabilities, labels)
    return multilabel_scores(probabilities, labels, thresholds).mean().to_dict()


def _multi_hot(labels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Labels as 0 or 1 for each class, (N, C), of the type of `logits`."""
    if labels.ndim == 1:
        labels = F.one_hot(labels, logits.shape[1])
    return labels.to(logits.dtype)


def _augmented_epochs(training, normalise, settings, generator) -> Iterator:
    """Endless epochs of freshly augmented, normalised batches."""
    while True:
        yield (
            (normalise(augment(x, x.shape[1], generator=generator, **settings["augmentation"])), y)
            for x, y in training.batches(settings["batch_size"], generator)
        )


def _cached_epochs(model, training, normalise, settings, generator) -> Iterator:
    """Endless epochs of features of stored augmented views, one view per epoch in turn."""
    views, draws = settings["cached_views"], settings["augmentation"]
    view_features = []
    for _ in progress(range(views), views, "augmented views through the frozen body"):
        parts = []
        for x, y in training.batches(settings["batch_size"]):
            x = normalise(augment(x, x.shape[1], generator=generator, **draws))
            parts.append((last_features(model, x), y))
        view_features.append([torch.cat(part) for part in zip(*parts, strict=True)])
    while True:
        for features, labels in view_features:
            order = torch.randperm(len(labels), generator=generator).to(labels.device)
            yield ((features[rows], labels[rows]) for rows in order.split(settings["batch_size"]))


@torch.no_grad()
def last_features(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Features (B, d) of inputs (B, C, H, W): the input of the head."""
    # A class token is a view: storing it without a copy would keep all other tokens in memory.
    return model.forward_head(model.forward_features(x), pre_logits=True).clone()


def class_probabilities(logits: torch.Tensor, loss: str) -> np.ndarray:
    """Class probabilities (B, K), float64, of logits (B, K).

    Parameters
    ----------
    loss
        Loss of the training: ``cross_entropy`` for classes that exclude each other
        (softmax), any other for labels that may share an image (sigmoid).
    """
    logits = logits.double().cpu()
    return (logits.softmax(dim=1) if loss == "cross_entropy" else logits.sigmoid()).numpy()
