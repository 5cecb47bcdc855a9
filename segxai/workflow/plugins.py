"""Methods by file name: what each file says of itself, and the configuration that follows from it.

A module in ``segxai/<kind>`` with a literal ``ABOUT`` is a method of that kind. It is read here
without being imported; jobs import the one that they need by :func:`load`.
"""

import ast
import copy
import importlib
import re
from functools import cache
from pathlib import Path
from types import ModuleType

from segxai.workflow.schema import (
    DATASET,
    DOWNLOAD,
    NAME,
    NETWORK,
    PRECISION,
    ROLE,
    SCOPE,
    SECTIONS,
    SEGMENTER,
    TEXT,
    WORD,
    key,
    listed,
    mapping,
    optional,
)

ROOT = Path(__file__).resolve().parents[2]
# What each kind of method says beside its title, what it cites, and its settings.
KINDS = {
    "datasets": (),
    "networks": ("task",),
    "explainers": ("needs", "targets", "signed", "complete"),
    "segmenters": ("reads", "facts"),
    "views": ("reads",),
    "metrics": ("family", "direction", "range", "reads", "undefined"),
}


@cache
def methods(kind: str, root: Path = ROOT) -> list[str]:
    """Names of the methods of a kind: the files of its folder that have an ``ABOUT``, sorted."""
    files = sorted((root / "segxai" / kind).glob("*.py"))
    return [file.stem for file in files if _literal(file) is not None]


@cache
def about(kind: str, method: str, root: Path = ROOT) -> dict:
    """What a method says of itself.

    Parameters
    ----------
    kind : str
        Key of `KINDS`.
    method : str
        Name of its file in ``segxai/<kind>``, without ``.py``.
    root : Path
        The checkout.

    Returns
    -------
    dict
        Its ``ABOUT``, which nobody may change.

    Raises
    ------
    ValueError
        If the file has none, it is no literal, or it lacks a key.
    """
    file = root / "segxai" / kind / f"{method}.py"
    node = _literal(file) if file.is_file() else None
    if node is None:
        raise ValueError(f"{file}: has no ABOUT; choose one of {', '.join(methods(kind, root))}.")
    try:
        said = ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{file}: ABOUT must be a literal, without names or calls.") from None
    for name in ("title", "cites", "settings", *KINDS[kind]):
        if name not in said:
            raise ValueError(f"{file}: ABOUT lacks '{name}'; add it.")
    return said


@cache
def _literal(file: Path) -> ast.expr | None:
    """Find the value of a module's ``ABOUT``; None if it has none."""
    text = file.read_text(encoding="utf-8")
    if "\nABOUT = " not in text:
        return None
    for node in ast.parse(text, filename=str(file)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ABOUT":
            return node.value
    return None


def load(kind: str, definition: dict) -> tuple[ModuleType, dict]:
    """Import the method that an entry of the configuration names.

    Parameters
    ----------
    kind : str
        Key of `KINDS`.
    definition : dict
        A resolved entry. For a data set, its `options` with its `reader` as ``method``.

    Returns
    -------
    module : module
    settings : dict
        Those entries of `definition` that are settings of the method.
    """
    module = importlib.import_module(f"segxai.{kind}.{definition['method']}")
    names = [name for name in module.ABOUT["settings"] if name in definition]
    return module, {name: definition[name] for name in names}


def schema(config: dict, root: Path = ROOT) -> dict:
    """JSON schema (draft 2020-12) of a configuration, with the settings of the methods it names.

    Raises
    ------
    ValueError
        If a method's ``ABOUT`` cannot be read.
    """
    sections = dict(SECTIONS)
    for kind, description in {
        "datasets": "Data sets by name, one YAML each in config/datasets",
        "networks": "Classifiers and segmenters by name",
        "explainers": "Explainers by name",
        "views": "Ways from an attribution to a map, by name",
        "segmenters": "Ways to a mask, by name",
        "metrics": "Metrics by name",
    }.items():
        entries = config.get(kind) if isinstance(config.get(kind), dict) else {}
        pattern = WORD if kind in ("views", "metrics") else NAME
        known = {
            name: entry_schema(kind, name, entry, root)
            for name, entry in entries.items()
            if re.search(pattern, str(name))
        }
        sections[kind] = mapping(known, description, required=[])
    sections["tuning"] = mapping(
        {
            "images": key({"type": "integer", "minimum": 1}, "Validation images used at most"),
            "grid": key(_grid(root), "Values tried, by method of a view or segmenter and setting"),
        },
        "Search for the settings of each segmenter and its view on validation images",
    )
    return mapping(sections, required=list(sections))


def _grid(root: Path) -> dict:
    """Schema of the values that tuning tries: lists of what a setting may be."""
    known = {
        method: about(kind, method, root)["settings"]
        for kind in ("views", "segmenters")
        for method in methods(kind, root)
    }
    axes = {
        method: mapping(
            {name: listed(setting, minItems=1) for name, setting in settings.items()}, required=[]
        )
        for method, settings in known.items()
    }
    return mapping(axes, required=[])


def entry_schema(kind: str, name: str, entry: object, root: Path = ROOT) -> dict:
    """Schema of one definition: the keys of its kind and the settings of its method."""
    which = "reader" if kind == "datasets" else "method"
    default = name.replace("-", "_")
    chosen = entry.get(which, default) if isinstance(entry, dict) else default
    known = methods(kind, root)
    if chosen not in known:
        named = {which: key({"enum": known}, f"File in segxai/{kind}")}
        return {"type": "object", "properties": named, "required": [which]}
    said = about(kind, chosen, root)
    method = {which: optional({"enum": known}, default, f"File in segxai/{kind}")}
    if kind == "datasets":
        options = mapping(said["settings"], "")
        own = {
            "options": optional(options, {}, "Settings of the reader"),
            "source": _source(said),
        }
        return mapping(method | DATASET | own)
    title = said["title"] if kind in ("views", "metrics") else name
    printed = {"title": optional(TEXT, title, "Name in tables and figures")}
    return mapping(printed | method | _common(kind, said) | said["settings"])


def _source(said: dict) -> dict:
    """Schema of where a data set comes from: a download, or what its generator makes."""
    if "source" in said:
        return mapping(said["source"], "What the generator makes")
    return optional(DOWNLOAD, {}, DOWNLOAD["description"])


def _common(kind: str, said: dict) -> dict:
    """Keys that all methods of a kind have, or those that read the same."""
    if kind == "networks":
        return NETWORK | ({"scope": SCOPE} if said["task"] == "segment" else {})
    if kind == "explainers":
        return {"precision": PRECISION}
    if kind != "segmenters":
        return {}
    keys = {
        "view": ["view"],
        "mask": ["of"],
        "keys": ["network", "input_size", "centre"],
        "levels": ["network"],
        "network": ["network"],
    }
    # What is refined is refined by the view that it was cut from.
    read = [name for name in said["reads"] if not (name == "view" and "mask" in said["reads"])]
    return {"role": ROLE} | {name: SEGMENTER[name] for part in read for name in keys.get(part, [])}


def resolve(config: dict, root: Path = ROOT) -> dict:
    """Fill a valid configuration with every default.

    Returns
    -------
    dict
        A copy. A segmenter has the keys ``view``, ``of`` and ``network``, null where it reads none.
    """
    resolved = _filled(config, schema(config, root))
    for entry in resolved["segmenters"].values():
        for name in ("view", "of", "network"):
            entry.setdefault(name, None)
    return resolved


def _filled(value: object, schema: dict) -> object:
    """Copy a value, with the defaults of the mappings in it."""
    if isinstance(value, list):
        return [_filled(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    known = schema.get("properties", {})
    defaults = {
        name: copy.deepcopy(part["default"])
        for name, part in known.items()
        if isinstance(part, dict) and "default" in part and name not in value
    }
    patterns = schema.get("patternProperties", {}).items()
    return {
        name: _filled(
            inner,
            known.get(name) or next((s for pattern, s in patterns if re.search(pattern, name)), {}),
        )
        for name, inner in (value | defaults).items()
    }
