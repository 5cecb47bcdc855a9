"""Read network weights from local files without ever running code found in them."""

import pickle
import zipfile
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from segxai.job.log import InputError, reason

# Where checkpoints keep the network (DINO keeps a student and a teacher), and the prefixes that
# wrappers put before timm's own key names.
CONTAINERS = ("teacher", "state_dict", "model")
PREFIXES = ("module.", "backbone.")
MAX_EXPANSION = 4  # numbers per byte of the file; several only where tensors share them


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a safetensors or torch file; never run code that it holds.

    Parameters
    ----------
    path
        ``.safetensors``, or a torch file that holds nothing but tensors and plain containers
        (read with ``weights_only=True``). DINO's full checkpoints are accepted: their teacher is
        taken, and the prefixes ``module.`` and ``backbone.`` are dropped.

    Returns
    -------
    dict of str to Tensor
        float32 tensors on the CPU, all finite.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such weights file; correct `weights` in the configuration.")
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            _refuse_compression(path)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than tensors and is not loaded, because unpickling runs code; "
            "save its state dict as safetensors."
        ) from error
    # Decoders answer a hostile file with almost any exception.
    except Exception as error:
        raise InputError(
            f"{path}: not a readable weights file ({reason(error)}); download it again."
        ) from error
    state = _unwrap(state, path)
    broken = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if broken:
        raise InputError(
            f"{path}: {broken[0]} and {len(broken) - 1} other tensors hold NaN or infinite "
            "values; use another checkpoint."
        )
    return state


def load_backbone(model: nn.Module, state: dict[str, torch.Tensor], path: str | Path) -> None:
    """Load all of `state` but its head into a network, in place.

    A method's own filter converts foreign checkpoints: timm's resample position embeddings to the
    model's grid. A first convolution of RGB is adapted to other channels as timm does.
    """
    head = head_names(model)
    body = {key: value for key, value in state.items() if not key.startswith(head)}
    filter_function = _checkpoint_filter(model)
    if filter_function is not None:
        try:
            body = filter_function(body, model)
        # It looks for keys and shapes of many families, each in its own way.
        except Exception as error:
            raise InputError(
                f"{path}: not weights of this architecture ({reason(error)}); set `architecture` "
                "and `arguments` to those of the weights."
            ) from error
    own = model.state_dict()
    _adapt_channels(body, own, getattr(model, "pretrained_cfg", {}).get("first_conv"))
    wrong = [key for key, value in body.items() if key in own and own[key].shape != value.shape]
    missing = [key for key in own if not key.startswith(head) and key not in body]
    if wrong or missing:
        key = (wrong or missing)[0]
        problem = "has another shape than" if wrong else "is missing for"
        raise InputError(
            f"{path}: {key} {problem} this architecture ({len(wrong) + len(missing)} such "
            "tensors); set `architecture` and `arguments` to those of the weights."
        )
    model.load_state_dict(body, strict=False)


def _unwrap(state: object, path: Path) -> dict[str, torch.Tensor]:
    """Find the network's own tensors inside a checkpoint and give them timm's names."""
    for _ in CONTAINERS:  # a dictionary may hold itself
        inner = (state.get(key) for key in CONTAINERS) if isinstance(state, dict) else ()
        state = next((each for each in inner if isinstance(each, dict)), state)
    tensors = {}
    for key, value in state.items() if isinstance(state, dict) else ():
        if not (isinstance(key, str) and isinstance(value, torch.Tensor)):
            continue
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            raise InputError(
                f"{path}: {key} is sparse, quantised or complex; save it as dense real numbers."
            )
        while key.startswith(PREFIXES):
            key = key.split(".", 1)[1]
        tensors[key] = value
    if not tensors:
        raise InputError(f"{path}: holds no tensors; give a state dict of the network.")
    # Tensors may repeat what is stored, without end.
    if sum(map(torch.numel, tensors.values())) > MAX_EXPANSION * path.stat().st_size:
        raise InputError(f"{path}: unfolds to far more than its size; save its tensors contiguous.")
    return {key: value.float() for key, value in tensors.items()}


def _refuse_compression(path: Path) -> None:
    """Refuse a torch file that unpacks to more than its size, which torch never writes."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            if sum(entry.file_size for entry in file.infolist()) > path.stat().st_size:
                raise ValueError("its entries are compressed")


def head_names(model: nn.Module) -> tuple[str, ...]:
    """Prefixes of the names of all that belongs to a network's head."""
    classifier = getattr(model, "pretrained_cfg", {}).get("classifier", ())
    names = (classifier,) if isinstance(classifier, str) else classifier
    return tuple(f"{name}." for name in names)


def _adapt_channels(body: dict, own: dict, first: str | tuple | None) -> None:
    """Adapt the first convolution of weights for RGB to a network of other channels, in place."""
    key = f"{first}.weight"
    if key in body and key in own and body[key].shape[1] == 3 != own[key].shape[1]:
        from timm.models import adapt_input_conv

        body[key] = adapt_input_conv(own[key].shape[1], body[key])


def _checkpoint_filter(model: nn.Module):
    """Return timm's converter of foreign checkpoints for this model family, if it has one."""
    from importlib import import_module

    return getattr(import_module(type(model).__module__), "checkpoint_filter_fn", None)
