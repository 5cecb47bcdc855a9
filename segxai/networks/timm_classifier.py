"""Classifiers of timm with a trainable head: ViT, ResNet, DenseNet and their kin."""

from difflib import get_close_matches

import timm
from torch import nn

from segxai.job.log import InputError, reason

ABOUT = {
    "title": "Classifier of timm", "cites": "doi:10.5281/zenodo.4414861", "task": "classify",
    # Prefixes of the names of plain vision transformers.
    "transformers": ["vit_", "deit_", "deit3_", "flexivit_", "beit"],
    "settings": {
        "architecture": {
            "type": "string",
            "description": "Name of the model in timm, with its pretraining if it has several",
        },
        "arguments": {"type": "object", "default": {},
                      "description": "Further arguments of `timm.create_model`"},
        "head_features": {
            "type": ["integer", "null"], "minimum": 1, "default": None,
            "description": "Hidden features of a head Linear–ReLU–Linear; null for one Linear",
        },
    },
}  # fmt: skip


def build(
    outputs: int,
    channels: int,
    architecture: str,
    arguments: dict,
    head_features: int | None,
    pretrained: bool = False,
) -> nn.Module:
    """Build a classifier of timm with a fresh head (ExplainSeg §3.2), for inputs (B, C, S, S).

    Settings: see `ABOUT`. `pretrained` starts the body from timm's download for the architecture;
    weights for RGB are adapted by timm to other `channels`: summed for one, repeated and rescaled
    for more.
    """
    if not timm.is_model(architecture):
        near = get_close_matches(architecture, timm.list_models(), cutoff=0.4)
        raise InputError(
            f"networks.architecture: timm has no '{architecture}'; the nearest are "
            f"{', '.join(near) or 'none'} (all: `timm.list_models()`)."
        )
    try:
        model = timm.create_model(
            architecture, pretrained=pretrained, num_classes=outputs, in_chans=channels, **arguments
        )
    # Each architecture raises other errors for arguments.
    except Exception as error:
        if pretrained and not isinstance(error, TypeError):
            raise InputError(
                f"the pretrained weights of {architecture} could not be downloaded "
                f"({reason(error)}); set `weights` to a local file, or `pretrained: false` to "
                "train from scratch."
            ) from error
        raise InputError(
            f"networks.arguments of {architecture} cannot be used ({reason(error)}); correct them."
        ) from error
    if head_features is not None:
        _deepen_head(model, head_features)
    return model


def _deepen_head(model: nn.Module, features: int) -> None:
    last = model.get_classifier()
    head = nn.Sequential(
        nn.Linear(last.in_features, features), nn.ReLU(), nn.Linear(features, last.out_features)
    )
    model.set_submodule(model.pretrained_cfg["classifier"], head)
