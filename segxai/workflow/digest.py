"""What a job reaches of the sources, as a digest: the standard library only.

Snakemake reruns a job when its params change but not when a module that its script imports does,
so each rule carries a digest as a param. It follows the script, the methods that the job's
wildcards name, and every definition that these reach by name.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from segxai.workflow.sources import Part, Source, read_sources

ROOT = Path(__file__).resolve().parents[2]


def digest(script: str, root: Path = ROOT, **plugins: str | Iterable[str]) -> str:
    """Hash the logic behind a job.

    Comments, docstrings, annotations of functions, layout, and texts of errors, warnings and log
    lines do not change it; nor does a definition that the job does not reach. A use that cannot be
    seen by reading (a star import, a module handed on as a value) counts the whole module.

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
    steps = walk(script, root, **plugins)
    lines = {
        f"{module} {part.text if spoken else part.code}"
        for (module, part), spoken in steps.parts.items()
    }
    return hashlib.sha256("\n".join(sorted(lines | steps.arguments)).encode()).hexdigest()[:16]


def reached(script: str, root: Path = ROOT, **plugins: str | Iterable[str]) -> set[tuple[str, str]]:
    """Module and name of every definition that a job reaches; a script is its own module."""
    parts = walk(script, root, **plugins).parts
    return {(module, name) for module, part in parts for name in part.names}


def source_files(script: str, root: Path = ROOT, **plugins: str | Iterable[str]) -> dict[str, Path]:
    """Files of a script, of the methods and of the segxai modules that a job imports, by name."""
    modules = walk(script, root, **plugins).modules
    return {name: read_sources(root)[name].path for name in modules}


def walk(script: str, root: Path, **plugins: str | Iterable[str]) -> "Walk":
    """Follow a script and methods to all that they reach."""
    names = {
        f"segxai.{kind}.{method}"
        for kind, methods in plugins.items()
        for method in ([methods] if isinstance(methods, str) else methods)
    }
    return _walk(script, root, frozenset(names))


@cache
def _walk(script: str, root: Path, methods: frozenset[str]) -> "Walk":
    """Follow a script and modules of methods."""
    sources = read_sources(root)
    if script not in sources:
        raise FileNotFoundError(f"scripts/{script}.py is missing: every rule has its own script.")
    if missing := sorted(methods - sources.keys()):
        raise FileNotFoundError(f"{missing[0].replace('.', '/')}.py is missing: no such method.")
    steps = Walk(sources)
    for name in [script, *sorted(methods)]:
        steps.whole(name)
    return steps


class Walk:
    """Follows names from definition to definition.

    Attributes
    ----------
    parts : dict
        Reached parts, as (module, part); True for those reached by texts of errors alone.
    arguments : set of str
        Hashes of arguments that are more than texts of errors.
    modules : set of str
        Modules that are imported.
    """

    def __init__(self, sources: dict[str, Source]):
        self.sources = sources
        self.parts: dict[tuple[str, Part], bool] = {}
        self.arguments: set[str] = set()
        self.modules: set[str] = set()

    def whole(self, module: str) -> None:
        """Reach all of a module."""
        self.load(module)
        for part in self.source(module).parts:
            self.reach(module, part)

    def load(self, module: str) -> None:
        """Import a module: its packages, what it imports, and what it does when imported."""
        if module in self.modules:
            return
        source = self.source(module)
        self.modules.add(module)
        if "." in module:
            self.load(module.rpartition(".")[0])
        for other in source.loads:
            self.load(other)
        for other in source.stars:
            self.whole(other)
        for part in source.parts:
            if part.always:
                self.reach(module, part)

    def source(self, module: str) -> Source:
        """Source of a module that must exist."""
        if module not in self.sources:
            file = f"{module.replace('.', '/')}.py"
            raise ModuleNotFoundError(f"{module} is imported but {file} is missing.")
        if self.sources[module].broken:
            raise SyntaxError(f"{self.sources[module].path}: {self.sources[module].broken}")
        return self.sources[module]

    def reach(self, module: str, part: Part, spoken: bool = False) -> None:
        """Reach a part, and all that it names; `spoken` if only texts of errors need it."""
        known = self.parts.get((module, part))
        if known is False or (known and spoken):
            return
        self.parts[module, part] = spoken
        for other in part.loads:
            self.load(other)
        for name in part.names_used:
            self.follow(module, part, name, spoken)
        for name in part.names_spoken:
            self.follow(module, part, name, True)
        for place, (call, at, names, value) in enumerate(part.arguments):
            silent = spoken or self.is_spoken(module, part, call, at)
            if not silent:
                self.arguments.add(f"{module} {part.code} {place} {value}")
            for name in names:
                self.follow(module, part, name, silent)

    def follow(self, module: str, part: Part, name: str, spoken: bool) -> None:
        """Reach what a dotted name means within a part of a module."""
        if found := self.find(module, part, name):
            where, what = found
            if what is None:
                self.whole(where)
            else:
                self.reach(where, what, spoken)

    def find(self, module: str, part: Part | None, name: str) -> tuple[str, Part | None] | None:
        """Find the part that a dotted name means; a module without part: the whole of it.

        None for a name of another package, or of nothing at the top level.
        """
        first, *rest = name.split(".")
        source = self.source(module)
        imported = (part.imports if part else {}).get(first)
        if imported is None and first in source.parts_by_name:
            return module, source.parts_by_name[first]
        imported = imported or source.imports.get(first) or (first == "segxai" and first)
        if not imported or imported.split(".")[0] != "segxai":
            return None
        return self.descend(imported.split("."), rest)

    def descend(self, path: list[str], rest: list[str]) -> tuple[str, Part | None] | None:
        """Find what the names `path`, then `rest` lead to from package to definition."""
        names, module = [*path, *rest], "segxai"
        for place, name in enumerate(names[1:], 1):
            source = self.source(module)
            if f"{module}.{name}" in self.sources and name not in source.parts_by_name:
                module = f"{module}.{name}"
                self.load(module)
                continue
            if name in source.parts_by_name or name in source.imports:
                return self.find(module, None, ".".join(names[place:]))
            break
        # A module as a value, or a name that it does not define in sight.
        return module, None

    def is_spoken(self, module: str, part: Part, call: str, place: str) -> bool:
        """Whether a function only puts an argument into texts of errors."""
        seen, pending = set(), [(module, part, call, place)]
        while pending:
            step = pending.pop()
            found = self.find(*step[:3])
            if found is None or found[1] is None:
                return False
            where, called = found
            spoken = called.spoken.get(step[3])
            if spoken is None:
                return False
            if (where, called, step[3]) not in seen:
                seen.add((where, called, step[3]))
                pending += [(where, called, *onward) for onward in spoken]
        return True
