"""Layer-wise relevance propagation as input × gradient with local backward rules."""

from collections import Counter
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segxai.explain.backward_rules import (
    ACTIVATIONS,
    LINEAR,
    TINY,
    EvenShares,
    FixedScale,
    PositiveContributions,
    Ratio,
    WeighedProjection,
    changed,
    leaf_kinds,
)
from segxai.explain.stream import Attribution, Request, request_gradients
from segxai.job.log import InputError
from segxai.networks.network import Network
from segxai.networks.weights import head_names

ABOUT = {
    "title": "LRP", "cites": "doi:10.1371/journal.pone.0130140; arXiv:2202.07304; arXiv:2402.05602",
    "needs": ["gradients"],
    "suits": ["convolutional", "transformer"], "targets": ["label", "region"], "signed": True,
    "complete": True,
    "settings": {
        "attention": {
            "enum": ["cp", "attn"], "default": "cp",
            "description": "In transformers: CP-LRP, which holds attention weights constant, or "
                           "AttnLRP, which shares relevance with queries and keys",
        },
        "batch_size": {"type": "integer", "minimum": 1, "default": 10,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip

# Weights of the gradients of queries, keys and values.
PROJECTIONS = {"cp": (0.0, 0.0, 1.0), "attn": (0.25, 0.25, 0.5)}
# Squeeze and excitation: it scales each channel of its input by a factor.
GATES = {"SEModule", "SqueezeExcite", "EffectiveSEModule"}
# Layer norms, and the axis that each normalises.
NORMS = {"LayerNorm": -1, "LayerNormFp32": -1, "LayerNorm2d": 1, "LayerNorm2dFp32": 1}
ALONE = LINEAR | {"ReLU", "MaxPool2d", "AdaptiveMaxPool2d"}


def check(network: Network, **_) -> None:
    """Refuse a network with a part that no rule is known for."""
    gated = _within_gates(network.module)
    unknown = leaf_kinds(network.module, gated) - ALONE - ACTIVATIONS - NORMS.keys()
    called = {call.part for call in _calls(network.module, network.black())}
    attentions = (part for part in network.module.modules() if "Att" in type(part).__name__)
    unknown |= {
        type(part).__name__ for part in attentions if getattr(part, "qkv", None) not in called
    }
    if unknown:
        raise InputError(
            f"explainers: lrp has no rule for {', '.join(sorted(unknown))} of "
            f"{type(network.module).__name__}; choose an architecture of convolutions, batch norm "
            "and ReLU, such as resnet50 or densenet121, or a `vit_*`."
        )


def explain(
    network: Network, requests: Iterable[Request], attention: str, batch_size: int
) -> Iterator[Attribution]:
    r"""Attribute targets F by :math:`R_i = x_i \, \partial F / \partial x_i` with changed rules.

    Each part passes on :math:`R_i = \sum_j R_j z_{ij} / \sum_k z_{kj}`. Because relevance is a
    value times its gradient, sums and concatenations are right without a rule of their own. The
    rules (:mod:`segxai.explain.backward_rules`):

    - convolution that reads the image: flat, since pixels have signs. Of a vision transformer all
      pixels of a patch so get the same.
    - other convolutions: z⁺ without the bias in the denominator; a batch norm that follows one is
      fused with it first. An output without positive contributions passes nothing on.
    - linear layers, the head of a segmenter, and batch norms that cannot be fused (DenseNet): ε in
      the limit ε → 0, the gradient itself. Their biases keep a share of the relevance.
    - ReLU and pooling: the gradient; other activations, and squeeze and excitation, the constant
      ratio of output to input.
    - layer norm: the standard deviation is constant.
    - attention: CP-LRP holds the attention weights constant (Ali et al., arXiv:2202.07304); AttnLRP
      divides the gradients of queries and keys by 4 and of values by 2 (Achtibat et al.,
      arXiv:2402.05602), and does not conserve relevance where it passes the softmax.

    All of it is computed in float32, since rules divide.

    The method is covered by patents, and its authors' libraries have licences of their own: see
    docs/explainers.md; this is written from the papers.

    Parameters
    ----------
    network
    requests
        Inputs with the target F that is explained; read as they are needed.
    attention, batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, (C, H, W). Its gain is F itself: what relevance must sum to
        (conservation). What biases of the parts under ε keep is its completeness error.

    References
    ----------
    Bach et al., PLOS ONE 10 (2015), doi:10.1371/journal.pone.0130140.
    """
    ruled = replace(network, module=ruled_copy(network, attention), precision="float32")
    requests = (request._replace(inputs=_nowhere_zero(request.inputs)) for request in requests)
    for request, slopes, value in request_gradients(ruled, requests, batch_size):
        yield Attribution(request.inputs * slopes, value, 1, 0)


def _nowhere_zero(x: torch.Tensor) -> torch.Tensor:
    # A pixel of exactly 0 could be given nothing by input times gradient.
    return torch.where(x.abs() < TINY, TINY, x)


class _Call(NamedTuple):
    """A part that was run, with its first input and its output."""

    part: nn.Module
    read: object
    made: object


def _calls(module: nn.Module, x: torch.Tensor) -> list[_Call]:
    """Run a network, and list what leaves and batch norms read and made, in their order."""
    calls = []

    def keep(part: nn.Module, args: tuple, output: object) -> None:
        calls.append(_Call(part, args[0] if args else None, output))

    norms = nn.BatchNorm2d
    parts = [part for part in module.modules() if isinstance(part, norms) or not [*part.children()]]
    hooks = [part.register_forward_hook(keep) for part in parts]
    try:
        with torch.no_grad():
            module(x)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def ruled_copy(network: Network, attention: str) -> nn.Module:
    """Copy of a network's module with the same outputs, whose parts pass relevance back.

    Its batch norms are fused with the convolutions before them; rules as of :func:`explain`.
    """
    module, image = deepcopy(network.module), network.black()
    calls = _calls(module, image)
    first = {call.part for call in calls if call.read is image}
    fused = _fusable(calls)
    norms = {norm: convolution for convolution, norm in fused.items()}
    heads = head_names(module)
    head = {part for name, part in module.named_modules() if f"{name}.".startswith(heads)}
    projections = {part.qkv for part in module.modules() if hasattr(part, "qkv")}
    gated = _within_gates(module)

    def change(part: nn.Module) -> nn.Module:
        kind = type(part).__name__
        if part in gated:
            return part
        if part in norms:
            return getattr(part, "act", nn.Identity())
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)):
            transposed = isinstance(part, nn.ConvTranspose2d)
            whole = fuse_conv_bn_eval(part, fused[part], transposed) if part in fused else part
            if part in first:
                return EvenShares(whole)
            return whole if part in head else PositiveContributions(whole)
        if kind in ACTIVATIONS | GATES:
            return Ratio(part)
        if kind in NORMS:
            return FixedScale(part, NORMS[kind])
        if part in projections:
            return WeighedProjection(part, PROJECTIONS[attention])
        return part

    return changed(module, change)


def _fusable(calls: list[_Call]) -> dict[nn.Module, nn.Module]:
    """Pair convolutions with the batch norm that alone reads what they make."""
    runs = Counter(call.part for call in calls)
    pairs = {}
    for call in calls:
        if isinstance(call.part, (nn.Conv2d, nn.ConvTranspose2d)):
            readers = [other.part for other in calls if other.read is call.made]
            once = len(readers) == 1 and runs[call.part] == runs[readers[0]] == 1
            if once and isinstance(readers[0], nn.BatchNorm2d):
                pairs[call.part] = readers[0]
    return pairs


def _within_gates(module: nn.Module) -> set[nn.Module]:
    gates = [part for part in module.modules() if type(part).__name__ in GATES]
    return {part for gate in gates for part in gate.modules() if part is not gate}
