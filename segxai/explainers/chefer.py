"""Chefer's relevance of a vision transformer: attention weighed by its gradient."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.attention import attention_weights, check_attention, own_tokens, patch_map
from segxai.explain.stream import Attribution, Request, batches
from segxai.networks.network import Network

ABOUT = {
    "title": "Chefer", "cites": "arXiv:2103.15679", "needs": ["gradients", "activations"],
    "suits": ["transformer"], "targets": ["label"], "signed": False, "complete": False,
    "settings": {
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, **_) -> None:
    """Refuse a network without readable attention, see :func:`check_attention`."""
    check_attention(network, "chefer")


def explain(
    network: Network, requests: Iterable[Request], batch_size: int
) -> Iterator[Attribution]:
    r"""Explain targets F by attention that speaks for them, through all blocks.

    .. math:: R \leftarrow R + \bar A_l R, \quad \bar A_l = \frac1H \sum_h \left(
              \frac{\partial F}{\partial A_{lh}} \circ A_{lh}\right)^+, \quad l = 1 \dots L

    from R = I (Chefer et al., ICCV 2021, arXiv:2103.15679, eqs. 5 and 6), with the attention
    weights A of H heads. The map is the class token's row, or the mean row of the patches where the
    head reads their mean.

    Parameters
    ----------
    network
        A plain vision transformer of timm.
    requests
        Inputs with the target F that is explained; read as they are needed.
    batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, (1, H, W), nowhere negative. They promise no sum.
    """
    score = network.score()
    for batch, inputs, targets in batches(requests, batch_size):
        # Frozen weights leave no graph: gradients must be asked for at the input.
        with attention_weights(network.module) as weights:
            values = score(inputs.requires_grad_(), targets)
        slopes = torch.autograd.grad(values.sum(), weights)
        relevance = own_tokens(weights)
        for attention, slope in zip(weights, slopes, strict=True):
            spoken = (slope * attention.detach()).float().relu().mean(dim=1)
            relevance = relevance + spoken @ relevance
        for values in patch_map(relevance, network.module, inputs)[: len(batch)]:
            yield Attribution(values, float("nan"), 1, 0)
