"""Network weights from local files, read without running code."""

import pickle
import zipfile
from argparse import Namespace
from importlib import import_module
from inspect import signature
from pathlib import Path

import safetensors.torch
import torch
from torch import nn

from segxai.job.log import InputError, reason

# Keys of the network in checkpoints (DINO's have a student and a teacher).
CONTAINERS = ("teacher", "student", "state_dict", "model_state_dict", "model")
# Prefixes that wrappers add to all names, and to those of the network alone: everything beside it,
# such as DINO's projection, is a head.
WRAPPERS, PARTS = ("module.", "_orig_mod."), ("teacher.", "student.", "model.", "backbone.")
MAX_EXPANSION = 4  # numbers per byte of the file; above 1 only if tensors share numbers
# Names of the functions by which timm's families convert foreign checkpoints.
FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
# Position embeddings, which may be resampled to another grid.
POSITIONS = ("pos_embed", "relative_position", "rel_pos", "attention_bias")
# Tensors that evaluation does not use: a counter, and the auxiliary head of Inception's training.
COUNTER, AUXILIARY = "num_batches_tracked", "AuxLogits."


def read_state_dict(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a safetensors or torch file without running code in it.

    Parameters
    ----------
    path
        Safetensors, or a torch file that holds nothing but tensors, plain containers and the
        options of a command line (read with ``weights_only=True``). ``~`` is the home folder.
        DINO's full checkpoints are accepted: the teacher is taken, without its projection, and
        prefixes such as ``module.`` and ``backbone.`` are dropped.

    Returns
    -------
    dict of str to Tensor
        float32 tensors on the CPU, all finite.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise InputError(f"{path}: no such weights file; correct `weights` in the configuration.")
    try:
        if _is_safetensors(path):
            state = safetensors.torch.load_file(path)
        else:
            _refuse_compression(path)
            # A namespace is a mapping without code. Given a path, torch would rely on the suffix.
            with path.open("rb") as file, torch.serialization.safe_globals([Namespace]):
                state = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds more than tensors and is not loaded, because unpickling runs code; "
            "save its state dict as safetensors."
        ) from error
    # On a hostile file, decoders raise almost any exception.
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

    Every tensor of the body must come from the file, and every tensor of the file must have a place
    there, under its own name or the name from the method's filter: timm's filters convert foreign
    checkpoints of each family. A first convolution for RGB is adapted to other channels as in timm,
    one for grey receives their mean. Only position embeddings may be resampled.

    Raises
    ------
    InputError
        If a tensor is left over, missing, of another shape, or resampled.
    """
    own, head = model.state_dict(), head_names(model)
    given = {key: value for key, value in state.items() if not key.startswith(head)}
    body, resampled = _converted(given, model, path)
    body = {key: value for key, value in body.items() if not key.startswith(head)}
    _adapt_channels(body, own, getattr(model, "pretrained_cfg", {}).get("first_conv"))
    kept = {key for key in own if not key.startswith(head) and not key.endswith(COUNTER)}
    shapes = [key for key in own.keys() & body.keys() if own[key].shape != body[key].shape]
    left = [key for key in body if key not in own and not key.endswith(COUNTER)]
    problems = {
        "would have to be resampled for": resampled,
        "has another shape than": shapes,
        "is missing for": kept - body.keys(),
        "is left over by": [key for key in left if not key.startswith(AUXILIARY)],
    }
    for problem, keys in problems.items():
        if keys:
            others = f" (as {len(keys) - 1} more)" if len(keys) > 1 else ""
            raise InputError(
                f"{path}: {min(keys)} {problem} this network{others}; set its `architecture` and "
                "`arguments`, or what else its method can be set to, to those of the weights."
            )
    model.load_state_dict(body, strict=False)


def _converted(
    given: dict[str, torch.Tensor], model: nn.Module, path: str | Path
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Tensors with the names of the model's filter, and the names of resampled ones."""
    module = import_module(type(model).__module__)
    convert = next((getattr(module, name) for name in FILTERS if hasattr(module, name)), None)
    if convert is None:
        return given, []
    traced = {key: value.detach().requires_grad_() for key, value in given.items()}
    try:
        # The filters of some families take no model.
        body = convert(*(dict(traced), model)[: len(signature(convert).parameters)])
    # Filters look for keys and shapes, and raise other errors for each family.
    except Exception as error:
        raise InputError(
            f"{path}: not weights of this architecture ({reason(error)}); set `architecture` "
            "and `arguments` to those of the weights."
        ) from error
    return {key: value.detach() for key, value in body.items()}, _resampled(traced, body)


def _resampled(traced: dict[str, torch.Tensor], body: dict[str, torch.Tensor]) -> list[str]:
    """Names of tensors whose size differs from the numbers that a filter took for them.

    Renaming, reshaping, joining and splitting keep the number of numbers.
    """
    sources = [value for key, value in traced.items() if not _of_positions(key)]
    names = []
    for key, value in body.items():
        if value.requires_grad and not value.is_leaf and not _of_positions(key):
            slopes = torch.autograd.grad(value.sum(), sources, allow_unused=True, retain_graph=True)
            used = sum(int(slope.count_nonzero()) for slope in slopes if slope is not None)
            if used != value.numel():
                names.append(key)
    return names


def _of_positions(key: str) -> bool:
    return any(part in key for part in POSITIONS)


def _unwrap(state: object, path: Path) -> dict[str, torch.Tensor]:
    """Find the network's own tensors in a checkpoint and give them timm's names."""
    for _ in CONTAINERS:  # a dictionary may hold itself
        inner = (state.get(key) for key in CONTAINERS) if isinstance(state, dict) else ()
        state = next((entry for entry in inner if isinstance(entry, dict)), state)
    items = state.items() if isinstance(state, dict) else ()
    tensors = {
        key: value
        for key, value in items
        if isinstance(key, str) and isinstance(value, torch.Tensor)
    }
    for key, value in tensors.items():
        if value.layout != torch.strided or value.is_quantized or value.is_complex():
            raise InputError(
                f"{path}: {key} is sparse, quantised or complex; save it as dense real numbers."
            )
    if not tensors:
        raise InputError(f"{path}: holds no tensors; give a state dict of the network.")
    # Tensors may repeat stored numbers without limit.
    if sum(map(torch.numel, tensors.values())) > MAX_EXPANSION * path.stat().st_size:
        raise InputError(f"{path}: unfolds to far more than its size; save its tensors contiguous.")
    return {key: value.float() for key, value in _without_prefixes(tensors, path).items()}


def _without_prefixes(tensors: dict[str, torch.Tensor], path: Path) -> dict[str, torch.Tensor]:
    """Drop the prefixes of wrappers, and tensors beside the network."""
    before = None
    while tensors.keys() != before:
        before = tensors.keys()
        prefix = next((p for p in PARTS if any(key.startswith(p) for key in before)), "")
        part = [key for key in before if key.startswith(prefix)]
        names = [key.removeprefix(prefix) for key in part]
        for wrapper in WRAPPERS:
            names = [name.removeprefix(wrapper) for name in names]
        if twice := [name for name in names if names.count(name) > 1]:
            raise InputError(
                f"{path}: holds {twice[0]} twice, with and without a prefix; remove one of them."
            )
        tensors = dict(zip(names, map(tensors.get, part), strict=True))
    return tensors


def _is_safetensors(path: Path) -> bool:
    """Whether a file is safetensors: by its content, or else by its name."""
    with path.open("rb") as file:
        start = file.read(9)
    return start[8:] == b"{" or (path.suffix == ".safetensors" and not zipfile.is_zipfile(path))


def _refuse_compression(path: Path) -> None:
    """Refuse a torch file with compressed entries, which torch never writes."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            if sum(entry.file_size for entry in file.infolist()) > path.stat().st_size:
                raise ValueError("its entries are compressed")


def head_names(model: nn.Module) -> tuple[str, ...]:
    """Prefixes of the names of a network's head."""
    classifier = getattr(model, "pretrained_cfg", {}).get("classifier", ())
    names = (classifier,) if isinstance(classifier, str) else classifier
    return tuple(f"{name}." for name in names)


def _adapt_channels(body: dict, own: dict, first: str | tuple | None) -> None:
    """Adapt the first convolution, for RGB or grey, to other channels, in place."""
    key = f"{first}.weight"
    if key not in body or key not in own:
        return
    known, channels = body[key].shape[1], own[key].shape[1]
    if known == 3 != channels:
        from timm.models import adapt_input_conv

        body[key] = adapt_input_conv(channels, body[key])
    elif known == 1 < channels:
        body[key] = body[key].expand(-1, channels, -1, -1) / channels
