"""Segmenters: their loss and their training."""

from collections.abc import Callable, Iterator
from functools import partial

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from segxai.metrics.overlap import dice
from segxai.networks.augment import augment
from segxai.networks.training import LabelledImages, fit


def segmentation_loss(
    logits: torch.Tensor, masks: torch.Tensor, cross_entropy_weight: float
) -> torch.Tensor:
    r"""Cross-entropy and Dice loss together (SegX eq. 8).

    .. math:: \lambda L_{CE} + (1 - \lambda) L_{Dice}, \quad
              L_{Dice} = 1 - \frac{2 \sum_i p_i m_i + 1}{\sum_i p_i + \sum_i m_i + 1}

    with a binary cross-entropy per pixel and mask. The Dice loss is taken per image and mask and
    then averaged; the 1 in numerator and denominator gives an empty mask of an empty image a loss
    of 0.

    Parameters
    ----------
    logits, masks : Tensor of shape (B, C, H, W)
        Masks are floats in 0…1: resized ones may be fractional.
    cross_entropy_weight
        λ in 0…1, not given in the paper; its code trains with λ = 1.
    """
    p = logits.sigmoid()
    overlap, total = (p * masks).sum(dim=(2, 3)), (p + masks).sum(dim=(2, 3))
    dice_loss = 1 - ((2 * overlap + 1) / (total + 1)).mean()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks)
    return cross_entropy_weight * cross_entropy + (1 - cross_entropy_weight) * dice_loss


def train_segmenter(
    network: nn.Module,
    training: LabelledImages,
    validation: LabelledImages,
    normalise: Callable[[torch.Tensor], torch.Tensor],
    settings: dict,
    seed: int,
) -> pd.DataFrame:
    """Train a segmenter and keep the epoch of least validation loss.

    Parameters
    ----------
    network
        Changed in place; ends in the best epoch's state.
    training, validation
        Images of both subsets, labelled with masks (N, C, H, W). Masks are resized to the network's
        input size for the loss.
    normalise
        Map from intensities in 0…1 to the network's input.
    settings
        See :func:`segxai.networks.training.fit`, with `batch_size`, `augmentation` and the λ of
        :func:`segmentation_loss` as `cross_entropy_weight`. Flips and rotations move masks with
        their images.
    seed
        Seed of batches and augmentation; the global generators are not changed.

    Returns
    -------
    DataFrame
        One row per epoch: epoch, learning_rate, train_loss, validation_loss, validation_dice. The
        Dice coefficient of masks at probability 0.5 is averaged over the images and masks whose
        true mask is not empty, the same ones in every epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    loss = partial(segmentation_loss, cross_entropy_weight=settings["cross_entropy_weight"])
    network.requires_grad_(True)
    return fit(
        network,
        _moved_epochs(training, normalise, settings, generator),
        lambda x, masks: loss(network(x), masks),
        lambda: _validate(network, validation, normalise, loss, settings["batch_size"]),
        settings,
        seed,
    )


def _moved_epochs(training, normalise, settings, generator) -> Iterator:
    """Endless epochs of images with their masks, augmented together."""

    def moved(x, masks):
        channels = x.shape[1]
        both = torch.cat([x, _resized(masks, x)], dim=1)
        both = augment(both, channels, generator=generator, **settings["augmentation"])
        return normalise(both[:, :channels]), both[:, channels:]

    while True:
        yield (moved(*pair) for pair in training.batches(settings["batch_size"], generator))


def _validate(network, validation, normalise, loss, batch_size) -> dict[str, float]:
    losses, scores = [], []
    for x, masks in validation.batches(batch_size):
        masks = _resized(masks, x)
        logits = network(normalise(x)).float()
        losses.append(loss(logits, masks) * len(x) / len(validation))
        true = (masks > 0.5).cpu()
        scores.append(torch.from_numpy(dice((logits > 0).cpu(), true))[true.any(-1).any(-1)])
    return {"loss": sum(losses).item(), "dice": torch.cat(scores).mean().item()}


def _resized(masks: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Masks (B, C, H, W) as the share that they cover of each pixel of images `x`."""
    return F.interpolate(masks.to(x.dtype), x.shape[-2:], mode="area")
