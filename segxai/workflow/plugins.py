"""Methods by file name: the ABOUT of each file, and the configuration schema made from it.

A module in ``segxai/<kind>`` with a literal ``ABOUT`` is a method of that kind. It is read here
without being imported; a job imports the one that it needs by :func:`load`.
"""

import ast
import copy
import importlib
import re
from functools import cache
from pathlib import Path
from types import ModuleType

from segxai.workflow import schema as parts
from segxai.workflow.names import plain
from segxai.workflow.schema import key, listed, mapping, optional

ROOT = Path(__file__).resolve().parents[2]
# Keys of ABOUT for each kind of method, besides title, cites and settings.
KINDS = {
    "datasets": (),
    "networks": ("task",),
    "explainers": ("needs", "suits", "targets", "signed", "complete"),
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
    """The ``ABOUT`` of a method's file; do not change it.

    Raises
    ------
    ValueError
        If the file has no ``ABOUT``, it is not a literal, or it lacks a key.
    """
    file = root / "segxai" / kind / f"{method}.py"
    node = _literal(file) if file.is_file() else None
    if node is None:
        raise ValueError(f"{file}: has no ABOUT; choose one of {', '.join(methods(kind, root))}.")
    try:
        facts = ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"{file}: ABOUT must be a literal, without names or calls.") from None
    for name in ("title", "cites", "settings", *KINDS[kind]):
        if name not in facts:
            raise ValueError(f"{file}: ABOUT lacks '{name}'; add it.")
    return facts


@cache
def _literal(file: Path) -> ast.expr | None:
    """Value of a module's ``ABOUT``; None without one."""
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
    (module, dict)
        The module, and those entries of `definition` that are settings of the method.
    """
    module = importlib.import_module(f"segxai.{kind}.{definition['method']}")
    names = [name for name in module.ABOUT["settings"] if name in definition]
    return module, {name: definition[name] for name in names}


def network_task(definition: dict) -> str:
    """Task of a network: ``classify`` or ``segment``."""
    return about("networks", definition["method"])["task"]


def network_body(definition: dict) -> str:
    """Kind of a network's body: ``transformer``, a plain ViT, or ``convolutional``."""
    starts = about("networks", definition["method"]).get("transformers", [])
    named = definition.get("architecture", "").startswith(tuple(starts))
    return "transformer" if named else "convolutional"


def schema(config: dict, root: Path = ROOT) -> dict:
    """JSON schema (draft 2020-12) of a configuration, with the settings of the methods it names.

    Raises
    ------
    ValueError
        If a method's ``ABOUT`` cannot be read.
    """
    sections = dict(parts.SECTIONS)
    for kind, description in parts.DEFINITIONS.items():
        entries = config.get(kind) if isinstance(config.get(kind), dict) else {}
        pattern = parts.WORD if kind in ("views", "metrics") else parts.NAME
        known = {
            name: entry_schema(kind, name, entry, root)
            for name, entry in entries.items()
            if re.search(pattern, str(name))
        }
        sections[kind] = mapping(known, description, required=[])
    # The tuning grid has lists of possible values of a setting.
    grid = {
        method: mapping(
            {name: listed(axis, minItems=1) for name, axis in axes.items()}, required=[]
        )
        for kind in ("views", "segmenters")
        for method, axes in [
            (name, about(kind, name, root)["settings"]) for name in methods(kind, root)
        ]
    }
    sections["tuning"] = parts.tuning(mapping(grid, required=[]))
    return mapping(sections, required=list(sections))


def entry_schema(kind: str, name: str, entry: object, root: Path = ROOT) -> dict:
    """Schema of one definition: the keys of its kind and the settings of its method."""
    which = "reader" if kind == "datasets" else "method"
    default = name.replace("-", "_")
    chosen = entry.get(which, default) if isinstance(entry, dict) else default
    known = methods(kind, root)
    if chosen not in known:
        named = {which: key({"enum": known}, f"File in segxai/{kind}")}
        return {"type": "object", "properties": named, "required": [which]}
    facts = about(kind, chosen, root)
    method = {which: optional({"enum": known}, default, f"File in segxai/{kind}")}
    if kind == "datasets":
        # A download, or the settings of a generator.
        source = optional(parts.DOWNLOAD, {}, parts.DOWNLOAD["description"])
        if "source" in facts:
            source = mapping(facts["source"], "Images to generate")
        options = optional(mapping(facts["settings"]), {}, "Settings of the reader")
        return mapping(method | parts.DATASET | {"options": options, "source": source})
    title = facts["title"] if kind in ("views", "metrics") else name
    printed = {"title": optional(parts.PRINTED, title, "Name in tables and figures")}
    return mapping(printed | method | _common(kind, facts) | facts["settings"])


def _common(kind: str, facts: dict) -> dict:
    """Keys that all methods of a kind have, or all methods with the same inputs."""
    if kind == "networks":
        return parts.NETWORK | ({"scope": parts.SCOPE} if facts["task"] == "segment" else {})
    if kind == "explainers":
        return {"precision": parts.PRECISION, "windows": parts.WINDOWS}
    read = facts["reads"]
    keys = parts.TOKEN_KEYS if "keys" in read else {}
    if kind == "views":
        return keys
    if kind != "segmenters":
        return {}
    if "view" in read:
        # A mask is refined by the view that it was cut from.
        source = "of" if "mask" in read else "view"
        return {"role": parts.ROLE, source: parts.SEGMENTER[source]} | keys
    names = [name for part in read for name in parts.READ_BY.get(part, [])]
    return {"role": parts.ROLE} | {name: parts.SEGMENTER[name] for name in names}


def resolve(config: dict, root: Path = ROOT) -> dict:
    """Fill a valid configuration with every default.

    Returns
    -------
    dict
        A copy. A segmenter has the keys ``view``, ``of`` and ``network``, null if it does not read
        one.
    """
    resolved = _filled(config, schema(config, root))
    for entry in resolved["segmenters"].values():
        for name in ("view", "of", "network"):
            entry.setdefault(name, None)
    return resolved


def _filled(value: object, schema: dict) -> object:
    """Copy a value; fill in defaults of mappings, and make texts for readers plain."""
    if isinstance(value, list):
        return [_filled(item, schema.get("items", {})) for item in value]
    if schema.get("printed") and isinstance(value, str):
        return plain(value)
    if not isinstance(value, dict):
        return value
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    defaults = {
        name: copy.deepcopy(part["default"])
        for name, part in known.items()
        if isinstance(part, dict) and "default" in part and name not in value
    }
    filled = {}
    for name, inner in (value | defaults).items():
        named = (part for pattern, part in patterns.items() if re.search(pattern, name))
        filled[name] = _filled(inner, known.get(name) or next(named, {}))
    return filled
