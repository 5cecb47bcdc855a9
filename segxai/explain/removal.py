"""Removal of a part of an input: its pixels are painted, or its patch tokens are left out."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import nn
from torch.nn import functional as F

from segxai.explain.stream import Request, padded, scores
from segxai.explain.target import Target
from segxai.job.log import InputError
from segxai.networks.network import Network

BLUR = 10 / 224  # standard deviation, in sides of the input


def fill(
    network: Network,
    inputs: torch.Tensor,
    kind: str,
    background: torch.Tensor | None = None,
    sigma: float | None = None,
) -> torch.Tensor:
    r"""Give what removed pixels are painted with, and what an input is compared with.

    Parameters
    ----------
    network
    inputs : Tensor of shape (B, C, S, S)
        Normalised.
    kind
        ``black``: the network's black image. ``mean``: zero, the mean of each channel that inputs
        are normalised by, which is that of the training images (`normalisation: training`) and not
        of the input. ``validation``: the background images. ``blur``: the input after a Gaussian
        blur (Fong & Vedaldi, ICCV 2017, arXiv:1704.03296), with weights renormalised at the border:

        .. math:: B_{ij} = \sum_{kl} G_{ik} G_{jl} x_{kl}, \quad
                  G_{ik} = \frac{\exp(-(i - k)^2 / 2\sigma^2)}
                                {\sum_m \exp(-(i - m)^2 / 2\sigma^2)}

    background : Tensor of shape (M, C, S, S), optional
        Normalised validation images; read by ``validation`` alone.
    sigma
        σ in px; None for 10 px at 224.

    Returns
    -------
    Tensor of shape (B, C, S, S)
        One for each input; of ``validation`` the M images, over which the caller averages.
    """
    if kind == "black":
        return network.black().expand_as(inputs)
    if kind == "mean":
        return torch.zeros_like(inputs)
    if kind == "validation":
        return background
    if kind != "blur":
        raise ValueError(f"a fill is black, mean, blur or validation, not '{kind}'.")
    return blurred(inputs, BLUR * max(inputs.shape[-2:]) if sigma is None else sigma)


def n_fills(kind: str, background: torch.Tensor | None) -> int:
    """Count the images of a :func:`fill` of one input: passes for each set of removed pixels."""
    return len(background) if kind == "validation" else 1


def blurred(inputs: torch.Tensor, sigma: float) -> torch.Tensor:
    """Blur inputs (B, C, H, W) by a Gaussian of a standard deviation in px, see :func:`fill`."""
    rows, columns = (_gaussian(side, sigma).to(inputs) for side in inputs.shape[-2:])
    return rows @ inputs @ columns.T


def mix(inputs: torch.Tensor, filled: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Paint what is not kept: ``keep · inputs + (1 − keep) · filled``, exact at 0 and 1.

    Parameters
    ----------
    inputs, filled : Tensor of shape (B, C, H, W)
        One image (1, C, H, W) serves any number of masks.
    keep : Tensor of shape (B, H, W)
        Bool, or shares in 0…1.

    Returns
    -------
    Tensor of shape (B, C, H, W)
    """
    return torch.lerp(filled, inputs, keep[:, None].to(inputs))


@torch.no_grad()
def kept_scores(
    network: Network,
    request: Request,
    kind: str,
    masks: Iterable[torch.Tensor],
    batch_size: int,
    background: torch.Tensor | None = None,
) -> torch.Tensor:
    """Evaluate the target of one request while parts of its input are removed.

    With validation images the value is the mean over them, as that of an absent feature is its
    expectation for SHAP (Lundberg & Lee, arXiv:1705.07874), at one pass for each.

    Parameters
    ----------
    network
    request
        Gives the input (C, S, S) and the target.
    kind
        Of :func:`fill`, or ``tokens``, see :func:`token_scores`.
    masks
        What is kept, each (S, S), bool or shares in 0…1; read batch by batch, so that memory holds
        one batch of changed inputs.
    batch_size
        Inputs per pass.
    background
        Of :func:`fill`.

    Returns
    -------
    Tensor of shape (n,), float64
        One value per mask.
    """
    inputs, values, waiting = request.inputs[None], [], iter(masks)
    filled = None if kind == "tokens" else fill(network, inputs, kind, background).split(1)
    while batch := list(islice(waiting, batch_size)):
        keep, targets = torch.stack(batch), [request.target] * len(batch)
        if filled is None:
            tokens, same = kept_tokens(network, keep), inputs.expand(len(batch), -1, -1, -1)
            values.append(token_scores(network, same, tokens, targets, batch_size).double())
        else:
            mixed = (mix(inputs, painted, keep) for painted in filled)
            of_fills = [scores(network, x, targets, batch_size).double() for x in mixed]
            values.append(torch.stack(of_fills).mean(dim=0))
    return torch.cat(values)


@torch.no_grad()
def token_scores(
    network: Network,
    inputs: torch.Tensor,
    keep: torch.Tensor,
    targets: Sequence[Target],
    batch_size: int,
) -> torch.Tensor:
    """Evaluate targets while the transformer sees only a part of the patch tokens.

    Tokens that are kept have their position embeddings; class and register tokens are always kept.
    No colour stands for what is removed, and a pass costs less the fewer tokens it has.

    Parameters
    ----------
    network
        As of :func:`check_tokens`.
    inputs : Tensor of shape (n, C, S, S)
        The same input may be expanded to n.
    keep : Tensor of shape (n, h, w), bool
        Patch tokens that are kept, none to all.
    targets : sequence of Label, (n,)
    batch_size
        Inputs per pass. Inputs that keep equally many tokens share passes, which are padded as
        those of :func:`segxai.explain.stream.scores` are.

    Returns
    -------
    Tensor of shape (n,), float32
    """
    keep = keep.flatten(1)
    counts, values = keep.sum(dim=1), inputs.new_empty(len(inputs))
    for count in counts.unique():
        for rows in (counts == count).nonzero()[:, 0].split(batch_size):
            asked = [targets[row] for row in rows.tolist()]
            with _only(padded(keep[rows], batch_size), network.module):
                values[rows] = scores(network, inputs[rows], asked, batch_size)
    return values


def kept_tokens(network: Network, keep: torch.Tensor) -> torch.Tensor:
    """Patch tokens (n, h, w) of whose pixels, of masks (n, S, S), more than half are kept; bool."""
    return F.avg_pool2d(keep.float(), network.module.patch_embed.patch_size) > 0.5


def check_tokens(network: Network, asking: str) -> None:
    """Refuse a network whose patch tokens cannot be left out, naming who is `asking`.

    A plain vision transformer of timm that reads its answer from the class token can do without
    any of them: each token is one patch, and its position is added to it.

    Raises
    ------
    InputError
        For any other network.
    """
    # Loading timm takes as long as loading torch, and only networks of timm need it.
    from timm.layers import PatchEmbed
    from timm.models.vision_transformer import VisionTransformer

    module = network.module
    plain = isinstance(module, VisionTransformer) and isinstance(module.patch_embed, PatchEmbed)
    if not plain or module.global_pool != "token":
        raise InputError(
            f"{asking} leaves out patch tokens, which needs a plain vision transformer that reads "
            f"its class token, and {type(module).__name__} is not one; remove pixels instead, or "
            "choose an architecture such as vit_small_patch16_224."
        )


@contextlib.contextmanager
def _only(keep: torch.Tensor, module: nn.Module) -> Iterator[None]:
    """Let a vision transformer see some of its patch tokens, (B, N) bool, within the block."""

    def drop(_, __, tokens: torch.Tensor) -> torch.Tensor:
        first, patches = tokens.tensor_split([module.num_prefix_tokens], dim=1)
        kept = patches[keep].view(len(tokens), int(keep[0].sum()), tokens.shape[-1])
        return torch.cat([first, kept], dim=1)

    # Here timm drops patches in training: after positions are added, before the first block.
    hook = module.patch_drop.register_forward_hook(drop)
    try:
        yield
    finally:
        hook.remove()


def _gaussian(side: int, sigma: float) -> torch.Tensor:
    """Weights (side, side) of a Gaussian blur along an axis; rows sum to 1."""
    place = torch.arange(side, dtype=torch.float64)
    return torch.softmax(-((place[:, None] - place) ** 2) / (2 * sigma**2), dim=1)
