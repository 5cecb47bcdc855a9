"""Digest of the source code that a job reaches (standard library only).

Snakemake reruns a job when its params change but not when a module that its script imports does,
so each rule carries a digest as a param. It follows the script, the methods that the job's
wildcards name, and every definition that these reach by name.
"""

import ast
import hashlib
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path

from segxai.workflow import kept
from segxai.workflow.sources import LOGIC, MESSAGE, Module, Part, Use

ROOT = Path(__file__).resolve().parents[2]


def digest(script: str, root: Path = ROOT, **plugins: str | Iterable[str]) -> str:
    """Hash the logic behind a job.

    Comments, docstrings, annotations of functions, layout, and texts of errors, warnings and log
    lines do not change it; nor does a definition that the job does not reach. Where the use is not
    evident from the text (a star import, a module passed as a value), the whole module counts.

    Parameters
    ----------
    script : str
        Name of a script in ``scripts/``, without ``.py``.
    root : Path
        The checkout.
    **plugins : str or iterable of str
        Names of the methods that the job loads, by kind: ``explainers="grad_cam"``.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        If there is no such script or method.
    ModuleNotFoundError
        If an imported segxai module does not exist.
    """
    sources, names = read_sources(root), _names(script, plugins)
    known, key = sources.digests, " ".join(names)
    if key not in known:
        parts = Walk(sources, names).parts
        lines = sorted({sources.fingerprint(part, mute) for part, mute in parts.items()})
        known[key] = _hash("\n".join(lines))
        sources.keep_digests()
    return known[key]


def reached(script: str, root: Path = ROOT, **plugins: str | Iterable[str]) -> set[tuple[str, str]]:
    """Module and name of every definition that a job reaches; a script is its own module."""
    parts = Walk(read_sources(root), _names(script, plugins)).parts
    return {(part.module.name, name) for part in parts for name in part.names}


def source_files(script: str, root: Path = ROOT, **plugins: str | Iterable[str]) -> dict[str, Path]:
    """Files of a script, of the methods and of the segxai modules that a job imports, by name."""
    sources = read_sources(root)
    return {name: sources.files[name] for name in Walk(sources, _names(script, plugins)).modules}


@cache
def read_sources(root: Path) -> "Sources":
    """The scripts and segxai's modules of a checkout, read when reached."""
    return Sources(root)


def _names(script: str, plugins: dict[str, str | Iterable[str]]) -> list[str]:
    """A script and the modules of methods."""
    named = {kind: [names] if isinstance(names, str) else names for kind, names in plugins.items()}
    return [script, *sorted({f"segxai.{kind}.{name}" for kind in named for name in named[kind]})]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


class Sources:
    """The files of a checkout by module, and the definitions of their names.

    A script is its own module. `digests` are those of an earlier run by script and methods, if
    `stamp` shows that no file has changed since.
    """

    def __init__(self, root: Path):
        paths = sorted([*(root / "scripts").glob("*.py"), *(root / "segxai").rglob("*.py")])
        names = [path.relative_to(root).with_suffix("").parts for path in paths]
        names = [parts[1:] if parts[0] == "scripts" else parts for parts in names]
        names = [".".join(parts[: len(parts) - (parts[-1] == "__init__")]) for parts in names]
        self.files = dict(zip(names, paths, strict=True))
        # Another version of this code may give other digests.
        stats = [(path, path.stat()) for path in [*paths, *Path(__file__).parent.glob("*.py")]]
        self.stamp = _hash(str([(str(path), s.st_mtime_ns, s.st_size) for path, s in stats]))
        self._modules: dict[str, Module] = {}
        self._messages: dict[tuple[Part, Use], bool] = {}
        self._prints: dict[tuple[Part, bool], str] = {}

    @cached_property
    def digests(self) -> dict[str, str]:
        """Known digests."""
        stored = kept.read("digests")
        return stored["digests"] if stored.get("stamp") == self.stamp else {}

    def keep_digests(self) -> None:
        """Keep the digests for the next plan."""
        kept.write("digests", {"stamp": self.stamp, "digests": self.digests})

    def module(self, name: str) -> Module:
        """Read a module that must exist."""
        if name not in self._modules:
            if name not in self.files:
                file = f"{name.replace('.', '/')}.py"
                raise ModuleNotFoundError(f"{name} is imported but {file} is missing.")
            self._modules[name] = Module(name, self.files[name], set(self.files))
        return self._modules[name]

    def find(self, module: Module, name: str, imports: dict[str, str]) -> Module | Part | None:
        """Find the part, or the module, that a dotted name in a module refers to.

        None for a name of another package, or without a top-level definition.
        """
        first, *rest = name.split(".")
        if first not in imports and first in module.by_name:
            return module.by_name[first]
        meaning = imports.get(first) or module.imports.get(first) or first
        if meaning.split(".")[0] != "segxai":
            return None
        path = [*meaning.split("."), *rest]
        inner = self.module(path[0])
        for place, step in enumerate(path[1:], 1):
            if f"{inner.name}.{step}" not in self.files or step in inner.by_name:
                # If a module does not define a name visibly, all of it counts.
                return self.find(inner, ".".join(path[place:]), {}) or inner
            inner = self.module(f"{inner.name}.{step}")
        return inner

    def is_message(self, part: Part, use: Use) -> bool:
        """Whether a use is only for messages, within its part or where the value is passed on."""
        if use in (MESSAGE, LOGIC):
            return use == MESSAGE
        if (part, use) not in self._messages:
            self._messages[part, use] = self._becomes_message(part, use)
        return self._messages[part, use]

    def _becomes_message(self, part: Part, use: Use) -> bool:
        """Follow a value from variable to variable until logic uses it."""
        seen, pending = set(), [(part, use)]
        while pending:
            part, use = pending.pop()
            if use in (MESSAGE, LOGIC):
                if use == LOGIC:
                    return False
                continue
            call, place = use
            if call:
                if call.split(".")[0] in part.locals:
                    return False
                part = self.find(part.module, call, part.imports)
                if not isinstance(part, Part) or part.always:
                    return False
                if place.isdigit() and int(place) < part.positions:
                    place = part.parameters[int(place)]
                if place not in part.parameters:
                    return False
            if (part, place) not in seen:
                seen.add((part, place))
                pending += [(part, onward) for _, onward in part.named.get(place, [])]
        return True

    def fingerprint(self, part: Part, mute: bool) -> str:
        """Hash a part without its messages, and if `mute` without any string."""
        if (part, mute) not in self._prints:
            messages = {node for node, use in part.uses.items() if self.is_message(part, use)}
            meanings = part.module.imports | part.imports
            # Two imports of one name would otherwise look the same.
            names = sorted(f"{name}={meanings[name]}" for name in part.named if name in meanings)
            text = _dump(part.node, messages, mute)
            self._prints[part, mute] = _hash(" ".join([part.module.name, *names, text]))
        return self._prints[part, mute]


def _dump(node: object, messages: set[ast.AST], mute: bool) -> str:
    """Write a syntax tree as text, without messages, and if `mute` without any string."""
    if isinstance(node, list):
        return f"[{','.join(filter(None, (_dump(inner, messages, mute) for inner in node)))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if node in messages or (mute and isinstance(getattr(node, "value", None), str)):
        return ""
    fields = [_dump(getattr(node, name, None), messages, mute) for name in node._fields]
    return f"{type(node).__name__}({','.join(fields)})"


class Walk:
    """Follows names from definition to definition.

    Of the reached `parts`, those that only messages reach are True; `modules` are the names of the
    imported modules.
    """

    def __init__(self, sources: Sources, names: list[str]):
        self.sources, self.parts, self.modules = sources, {}, set()
        for name in names:
            if name not in sources.files:
                folder = "" if "." in name else "scripts/"
                file = f"{folder}{name.replace('.', '/')}.py"
                raise FileNotFoundError(f"{file} is missing: no such script or method.")
            self.reach(sources.module(name))

    def load(self, name: str) -> None:
        """Import a module: its packages, its imports, and its statements that act on import."""
        if name.endswith(".*"):
            self.reach(self.sources.module(name.removesuffix(".*")))
        elif name not in self.modules:
            module = self.sources.module(name)
            self.modules.add(name)
            for other in [*filter(None, [name.rpartition(".")[0]]), *module.loads]:
                self.load(other)
            for part in module.parts:
                if part.always:
                    self.reach(part)

    def reach(self, definition: Module | Part, message: bool = False) -> None:
        """Reach a part and all names in it, or a whole module."""
        if isinstance(definition, Module):
            self.load(definition.name)
            for part in definition.parts:
                self.reach(part)
        elif self.parts.get(definition, True) and self.parts.get(definition) != message:
            self.parts[definition] = message
            for name in [definition.module.name, *definition.loads]:
                self.load(name)
            for name, use in (pair for pairs in definition.named.values() for pair in pairs):
                if other := self.sources.find(definition.module, name, definition.imports):
                    self.reach(other, message or self.sources.is_message(definition, use))
