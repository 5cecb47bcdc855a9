"""Attention rollout: where attention comes from in the end; a control, since it knows no class."""

from collections.abc import Iterable, Iterator

import torch

from segxai.explain.attention import attention_weights, check_attention, own_tokens, patch_map
from segxai.explain.stream import Attribution, Request, batches
from segxai.networks.network import Network

ABOUT = {
    "title": "Attention rollout", "cites": "arXiv:2005.00928", "needs": ["activations"],
    "suits": ["transformer"], "targets": ["label"], "signed": False, "complete": False,
    "settings": {
        "batch_size": {"type": "integer", "minimum": 1, "default": 50,
                       "description": "Inputs per pass; bounds memory"},
    },
}  # fmt: skip


def check(network: Network, **_) -> None:
    """Refuse a network without readable attention, see :func:`check_attention`."""
    check_attention(network, "attention_rollout")


@torch.no_grad()
def explain(
    network: Network, requests: Iterable[Request], batch_size: int
) -> Iterator[Attribution]:
    r"""Show from which patches the class token takes, through all blocks.

    .. math:: R = \prod_{l = L}^{1} \frac12 \left(\frac1H \sum_h A_{lh} + I\right)

    the rows of the attention weights A of H heads sum to 1, so those of R do (Abnar & Zuidema,
    arXiv:2005.00928). The map is the class token's row, or the mean row of the patches where the
    head reads their mean. It is the same for every target: a control, no explanation of one.

    Parameters
    ----------
    network
        A plain vision transformer of timm.
    requests
        Inputs; read as they are needed.
    batch_size
        As of `ABOUT`.

    Yields
    ------
    Attribution
        One per request, in their order, (1, H, W), nowhere negative. They promise no sum.
    """
    for batch, inputs, _ in batches(requests, batch_size):
        with attention_weights(network.module) as weights:
            network.outputs(inputs)
        rollout = own_tokens(weights)
        for attention in weights:
            mean = attention.float().mean(dim=1)
            rollout = (mean @ rollout + rollout) / 2
        for values in patch_map(rollout, network.module, inputs)[: len(batch)]:
            yield Attribution(values, float("nan"), 0, 1)
