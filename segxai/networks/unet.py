"""U-Net, the segmenter of SegX, with its loss and its training."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

import pandas as pd
import torch
from torch import nn
from torch.nn import functional as F

from segxai.job.log import InputError
from segxai.metrics.overlap import dice
from segxai.networks.augment import augment
from segxai.networks.training import Patches, fit
from segxai.networks.weights import read_state_dict

LEVELS = 5


class UNet(nn.Module):
    """U-Net of five levels, `width` features at the first and twice as many at each deeper one.

    A level is two 3×3 convolutions, each with batch norm and ReLU; levels are joined by 2×2
    max-pooling on the way down, 2×2 transposed convolutions and skip connections on the way up.

    Differs from the original in batch norm, in padding (masks are as large as images) and in half
    its features, as SegX's code has it.

    Parameters
    ----------
    n_masks
        Output channels: 1 for the union of all findings, C for one mask per class. Masks may
        overlap, so each channel has a sigmoid of its own.
    in_channels
        Input channels.
    width
        Features of the first level; SegX's code has 32.

    References
    ----------
    Ronneberger et al., MICCAI 2015, arXiv:1505.04597.
    """

    def __init__(self, n_masks: int, in_channels: int = 3, width: int = 32):
        super().__init__()
        widths = [width * 2**level for level in range(LEVELS)]
        upwards = list(pairwise(reversed(widths)))
        self.encoders = nn.ModuleList(_level(*pair) for pair in pairwise((in_channels, *widths)))
        self.upsamplers = nn.ModuleList(nn.ConvTranspose2d(*pair, 2, stride=2) for pair in upwards)
        self.decoders = nn.ModuleList(_level(2 * width, width) for _, width in upwards)
        self.head = nn.Conv2d(width, n_masks, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (B, n_masks, H, W) of inputs (B, in_channels, H, W), H and W multiples of 16."""
        if x.shape[-2] % 16 or x.shape[-1] % 16:
            raise InputError(
                f"input_size: the U-Net halves its input four times, and {min(x.shape[-2:])} px "
                "cannot be; choose a multiple of 16."
            )
        skipped = []
        for encoder in self.encoders:
            x = encoder(F.max_pool2d(x, 2) if skipped else x)
            skipped.append(x)
        skipped.pop()
        for upsampler, decoder in zip(self.upsamplers, self.decoders, strict=True):
            x = decoder(torch.cat([upsampler(x), skipped.pop()], dim=1))
        return self.head(x)


def _level(channels: int, width: int) -> nn.Sequential:
    parts = []
    for before in (channels, width):
        # A bias would be undone by the norm.
        convolution = nn.Conv2d(before, width, 3, padding=1, bias=False)
        parts += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*parts)


def build_unet(n_masks: int, seed: int, arguments: dict) -> UNet:
    """Build a U-Net from `seed`; the global generators are left as they were.

    Parameters
    ----------
    arguments
        Further arguments of :class:`UNet`.

    Raises
    ------
    InputError
        If it knows them not.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            return UNet(n_masks, **arguments)
        except TypeError as error:
            raise InputError(
                f"models.arguments of unet: {error}; it takes `width` and `in_channels`."
            ) from error


def load_unet(weights: str, n_masks: int, arguments: dict, device: torch.device) -> UNet:
    """Load a U-Net trained by this study, frozen and in evaluation mode.

    Raises
    ------
    InputError
        If the weights are unreadable, not finite, or of another network.
    """
    network = build_unet(n_masks, 0, arguments)
    try:
        network.load_state_dict(read_state_dict(weights))
    except RuntimeError as error:
        raise InputError(
            f"{weights}: not weights of a U-Net with {n_masks} masks; delete the file and run "
            "again to train it anew."
        ) from error
    return network.to(device).eval().requires_grad_(False)


@torch.no_grad()
def mask_probabilities(
    network: nn.Module, inputs: torch.Tensor, shape: tuple[int, int]
) -> torch.Tensor:
    """Probability of each pixel to lie in each mask.

    Parameters
    ----------
    inputs : Tensor of shape (B, 3, h, w)
        Normalised.
    shape
        (H, W) of the analysis size, which logits are resized to bilinearly.

    Returns
    -------
    Tensor of shape (B, n_masks, H, W), in 0…1
    """
    logits = network(inputs).float()
    return F.interpolate(logits, shape, mode="bilinear", align_corners=False).sigmoid()


def segmentation_loss(
    logits: torch.Tensor, masks: torch.Tensor, cross_entropy_weight: float
) -> torch.Tensor:
    r"""Cross-entropy and Dice loss together (SegX eq. 8).

    .. math:: \lambda L_{CE} + (1 - \lambda) L_{Dice}, \quad
              L_{Dice} = 1 - \frac{2 \sum_i p_i m_i + 1}{\sum_i p_i + \sum_i m_i + 1}

    with a binary cross-entropy per pixel and mask. The Dice loss is taken per image and mask and
    then averaged; 1 added above and below makes nothing marked where there is nothing a loss of 0.

    Parameters
    ----------
    logits : Tensor of shape (B, C, H, W)
    masks : Tensor of shape (B, C, H, W)
        Float, in 0…1: resized masks may be fractional.
    cross_entropy_weight
        λ in 0…1, which the paper does not give; its code trains with λ = 1.

    Returns
    -------
    Tensor of shape ()
    """
    p = logits.sigmoid()
    overlap, total = (p * masks).sum(dim=(2, 3)), (p + masks).sum(dim=(2, 3))
    dice_loss = 1 - ((2 * overlap + 1) / (total + 1)).mean()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, masks)
    return cross_entropy_weight * cross_entropy + (1 - cross_entropy_weight) * dice_loss


def train_segmenter(
    network: nn.Module,
    training: Patches,
    validation: Patches,
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
        Images of both subsets, labelled with masks (N, C, H, W). Masks are brought to the
        network's input size, where the loss is taken.
    normalise
        Map from intensities in 0…1 to the network's input.
    settings
        As of :func:`segxai.networks.training.fit`, with `batch_size`, `augmentation` and the λ of
        :func:`segmentation_loss` as `cross_entropy_weight`. Flips and rotations move masks with
        their images.
    seed
        Of batches and augmentation; the global generators are left as they were.

    Returns
    -------
    DataFrame
        One row per epoch: epoch, learning_rate, train_loss, validation_loss, validation_dice. The
        Dice coefficient of masks at probability 0.5 is averaged over images and masks; where both
        the true and the predicted mask are empty it is undefined and left out.
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
    """Endless epochs of images with their masks, freshly augmented together."""

    def moved(x, masks):
        both = torch.cat([x, _resized(masks, x)], dim=1)
        both = augment(both, generator=generator, **settings["augmentation"])
        return normalise(both[:, :3]), both[:, 3:]

    while True:
        yield (moved(*pair) for pair in training.batches(settings["batch_size"], generator))


def _validate(network, validation, normalise, loss, batch_size) -> dict[str, float]:
    losses, scores = [], []
    for x, masks in validation.batches(batch_size):
        masks = _resized(masks, x)
        logits = network(normalise(x)).float()
        losses.append(loss(logits, masks) * len(x) / len(validation))
        scores.append(torch.from_numpy(dice((logits > 0).cpu(), (masks > 0.5).cpu())))
    return {"loss": sum(losses).item(), "dice": torch.cat(scores).nanmean().item()}


def _resized(masks: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Masks (B, C, H, W) as the share that they cover of each pixel of images `x`."""
    return F.interpolate(masks.to(x.dtype), x.shape[-2:], mode="area")
