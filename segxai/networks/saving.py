"""Files of a training: weights, history and card."""

import os
from pathlib import Path

import pandas as pd
import safetensors.torch
import torch
from torch import nn

from segxai.job.files import atomic_path, write_json
from segxai.job.log import log


def save_model(
    network: nn.Module,
    epochs: pd.DataFrame,
    facts: dict,
    weights: str | os.PathLike,
    history: str | os.PathLike,
    card: str | os.PathLike,
) -> None:
    """Write a trained network, its epochs and its card, and log the kept epoch.

    The card holds `facts`, the number of parameters, the best epoch and torch's version; the
    history has data set, network and seed of the facts as columns.
    """
    best = epochs.loc[epochs.validation_loss.idxmin()].round(6).to_dict()
    parameters = sum(parameter.numel() for parameter in network.parameters())
    facts = facts | {"parameters": parameters, "best": best, "torch": torch.__version__}
    with atomic_path(weights) as path:
        save_weights(network, path)
    with atomic_path(history) as path:
        keyed = epochs.assign(**{key: facts[key] for key in ("dataset", "network", "seed")})
        keyed.to_csv(path, index=False, float_format="%.6g")
    write_json(card, facts)
    scores = (f"{name.replace('_', ' ')} {value:.4g}" for name, value in best.items())
    log.info("kept: %s", ", ".join(scores))


def save_weights(model: nn.Module, path: str | os.PathLike) -> None:
    """Save all weights, body and head, as safetensors."""
    state = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    # The library's own writer hides errors of the system, such as a full disk.
    Path(path).write_bytes(safetensors.torch.save(state))
