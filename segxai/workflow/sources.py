"""What a Python file defines, and what each definition names: read once, kept between runs.

A *part* is a top-level statement. Texts of errors, warnings and log lines are told apart from
logic: nothing that a job computes depends on them.
"""

import ast
import contextlib
import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

CACHE = Path(".snakemake/segxai-definitions.json")
LOGGERS = {"log", "logging", "warnings"}
SPEECH = {"debug", "info", "warning", "error", "exception", "critical", "log", "warn"}
# Calls that only make text or numbers of what they get.
PURE = {"str", "repr", "len", "sorted", "map", "list", "min", "max", "sum", "type"}
PURE |= {"get", "join", "format", "strip", "rstrip", "removesuffix", "split", "lower", "replace"}
# What a method's ABOUT only tells people, or the configuration.
TOLD = {"title", "cites", "settings", "undefined"}
# Decorators that leave nothing behind outside of what they decorate.
HARMLESS = {"dataclass", "cache", "lru_cache", "contextmanager", "no_grad", "inference_mode"}


@dataclass(eq=False)
class Part:
    """One top-level statement of a file.

    Attributes
    ----------
    names : list of str
        Names that it binds.
    always : bool
        Whether it acts when the file is imported, beyond binding its names.
    code, text : str
        Hashes of its logic: all of it but texts of errors; and without any string.
    names_used, names_spoken : list of str
        Dotted names in its logic, and in texts of errors alone.
    arguments : list of (str, str, list of str, str)
        Arguments that may be such texts: the function that gets one, its place (position or name),
        the names in it, and its hash.
    spoken : dict of str to list of (str, str)
        Of a function, the places of arguments that only go into texts, with the functions and
        places that they are handed on to.
    imports : dict of str to str
        What names imported within it mean.
    loads : list of str
        Modules imported within it.
    """

    names: list
    always: bool
    code: str = ""
    text: str = ""
    names_used: list = field(default_factory=list)
    names_spoken: list = field(default_factory=list)
    arguments: list = field(default_factory=list)
    spoken: dict = field(default_factory=dict)
    imports: dict = field(default_factory=dict)
    loads: list = field(default_factory=list)


@dataclass
class Source:
    """A file: its parts, and what it imports at its top level.

    `broken` says why it cannot be read, if so.
    """

    path: Path
    parts: list[Part] = field(default_factory=list)
    imports: dict = field(default_factory=dict)
    stars: list = field(default_factory=list)
    loads: list = field(default_factory=list)
    broken: str = ""

    def __post_init__(self):
        self.parts_by_name = {name: part for part in self.parts for name in part.names}


@cache
def read_sources(root: Path) -> dict[str, Source]:
    """Read the scripts and segxai's modules of a checkout, by name; a package under its own."""
    known = _read_cache()
    kept, sources = {}, {}
    files = [*(root / "scripts").glob("*.py"), *(root / "segxai").rglob("*.py")]
    modules = {_module(path, root) for path in files}
    for path in files:
        state = path.stat()
        stamp = [state.st_mtime_ns, state.st_size]
        facts = known.get(str(path))
        if facts is None or facts["stamp"] != stamp:
            facts = {"stamp": stamp} | _summary(path, _module(path, root))
        kept[str(path)] = facts
        sources[_module(path, root)] = _source(path, facts, modules)
    if kept != known:
        _write_cache(kept)
    return sources


def _module(path: Path, root: Path) -> str:
    """Name of a file: that of a script, or of a module with its packages."""
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts[1:] if parts[0] == "scripts" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _source(path: Path, facts: dict, modules: set[str]) -> Source:
    """Make a source of what is known of a file; of a name imported from a package, its module."""
    source = Source(path, [Part(**part) for part in facts["parts"]], **facts["file"])
    for holder in (source, *source.parts):
        members = (name for name in holder.imports.values() if name in modules)
        holder.loads = [*dict.fromkeys([*holder.loads, *members])]
    return source


def _read_cache() -> dict:
    """What was read before, unless this file has changed since or the cache is damaged."""
    try:
        stored = json.loads(CACHE.read_text(encoding="utf-8"))
        return stored["files"] if stored["reader"] == _reader() else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_cache(files: dict) -> None:
    """Keep what was read, whole or not at all; without the right to write, it is read again."""
    temporary = CACHE.with_name(f".{CACHE.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        CACHE.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps({"reader": _reader(), "files": files}), encoding="utf-8")
        temporary.replace(CACHE)


@cache
def _reader() -> str:
    """Hash of this file: another version reads otherwise."""
    return _hash(Path(__file__).read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _summary(path: Path, module: str) -> dict:
    """Read a file: what it imports, and its parts."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    file = {"imports": {}, "stars": [], "loads": [], "broken": ""}
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except SyntaxError as error:
        return {"file": file | {"broken": str(error)}, "parts": []}
    body = _Bare().visit(tree).body
    body = [node for node in body if not _is_skipped(node, script=not package)]
    for node in body:
        # What a block imports at the top level is known to the whole file.
        within = ast.walk(node) if isinstance(node, ast.If | ast.Try | ast.With) else [node]
        for inner in within:
            if isinstance(inner, ast.Import | ast.ImportFrom):
                _import(inner, package, file)
    rest = [node for node in body if not isinstance(node, ast.Import | ast.ImportFrom)]
    bound = set(file["imports"]).union(*map(_bound, rest))
    names = [name for node in rest for name in _bound(node)]
    parts = []
    for node in rest:
        own = _bound(node)
        always = _acts(node) or any(names.count(name) > 1 for name in own)
        parts.append(asdict(_read_part(node, Part(own, always), package, bound, file["imports"])))
    return {"file": file, "parts": parts}


def _is_skipped(node: ast.stmt, script: bool) -> bool:
    """Whether a statement never runs in a job: imports for types, the main block of a module."""
    if not isinstance(node, ast.If):
        return False
    test = ast.unparse(node.test)
    return test.endswith("TYPE_CHECKING") or (test.startswith("__name__ ==") and not script)


class _Bare(ast.NodeTransformer):
    """Takes away docstrings, annotations but those of a class's fields, and what ABOUT tells."""

    def __init__(self):
        self.fields = set()

    def visit_Module(self, node):
        return self.generic_visit(self.undocumented(node))

    def visit_ClassDef(self, node):
        self.fields.update(map(id, node.body))
        return self.generic_visit(self.undocumented(node))

    def visit_FunctionDef(self, node):
        node.returns = None
        return self.generic_visit(self.undocumented(node))

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        if id(node) not in self.fields:
            node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Assign(self, node):
        if ast.unparse(node.targets[0]) == "ABOUT" and isinstance(node.value, ast.Dict):
            pairs = zip(node.value.keys, node.value.values, strict=True)
            kept = [pair for pair in pairs if getattr(pair[0], "value", None) not in TOLD]
            node.value.keys, node.value.values = (
                map(list, zip(*kept, strict=True)) if kept else ([], [])
            )
        return self.generic_visit(node)

    @staticmethod
    def undocumented(node):
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
        return node


def _bound(node: ast.stmt) -> list[str]:
    """Names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        stored = [inner for target in node.targets for inner in ast.walk(target)]
        return [inner.id for inner in stored if isinstance(inner, ast.Name) and _is_store(inner)]
    names = [
        inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and _is_store(inner)
    ]
    defined = ast.FunctionDef | ast.ClassDef
    names += [inner.name for inner in ast.walk(node) if isinstance(inner, defined)]
    return list(dict.fromkeys(names))


def _is_store(node: ast.Name) -> bool:
    return isinstance(node.ctx, ast.Store)


def _acts(node: ast.stmt) -> bool:
    """Whether a top-level statement does more than bind its names."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        called = (
            inner.func if isinstance(inner, ast.Call) else inner for inner in node.decorator_list
        )
        return any(ast.unparse(name).split(".")[-1] not in HARMLESS for name in called)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return not all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
    return True


def _import(node: ast.Import | ast.ImportFrom, package: str, into: dict) -> None:
    """Note what names an import binds, and which segxai modules it loads."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.name if alias.asname else alias.name.split(".")[0]
            into["imports"][alias.asname or name] = name
        modules = [alias.name for alias in node.names]
    else:
        base = resolve_name("." * node.level + (node.module or ""), package or None)
        modules = [base]
        for alias in node.names:
            if alias.name != "*":
                into["imports"][alias.asname or alias.name] = f"{base}.{alias.name}"
            elif base.split(".")[0] == "segxai":
                into.setdefault("stars", []).append(base)
    into["loads"] += [name for name in modules if name.split(".")[0] == "segxai"]


def _read_part(node: ast.stmt, part: Part, package: str, bound: set, imports: dict) -> Part:
    """Fill a part with its hashes and with what it names."""
    local = {"imports": part.imports, "loads": part.loads}
    nodes = [*ast.walk(node)]
    for inner in nodes:
        if isinstance(inner, ast.Import | ast.ImportFrom):
            _import(inner, package, local)
    known = bound | set(part.imports)
    spoken = _spoken(nodes)
    handed = _handed(nodes, known, spoken)
    if isinstance(node, ast.FunctionDef):
        part.spoken = _spoken_places(node, nodes, spoken, handed)
        handed |= _defaults(node)
    aside = spoken | {id(argument) for argument in handed}
    part.arguments = [
        (call, place, _names([argument], known, set()), _hash(ast.dump(argument)))
        for argument, (call, place) in handed.items()
    ]
    part.names_used = _names([node], known, aside)
    texts = [inner for inner in nodes if id(inner) in spoken]
    part.names_spoken = sorted(set(_names(texts, known, set())) - set(part.names_used))
    # Two imports of one name would otherwise look the same.
    meant = {name: imports.get(name.split(".")[0]) for name in part.names_used}
    meanings = sorted(f"{name}={meaning}" for name, meaning in meant.items() if meaning)
    node = _Blank(spoken, aside).visit(node)
    part.code = _hash(ast.dump(node) + "".join(meanings))
    part.text = _hash(ast.dump(_Mute().visit(node)))
    return part


def _names(nodes: list, known: set, aside: set) -> list[str]:
    """Dotted names below some nodes that a file's top level knows, and modules named by strings."""
    names, pending = set(), list(nodes)
    while pending:
        node = pending.pop()
        if id(node) in aside:
            continue
        chain = _chain(node)
        if chain and chain.split(".")[0] in known:
            names.add(chain)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"segxai(\.\w+)+", str(node.value)):
            names.add(node.value)
        if not chain:
            pending += ast.iter_child_nodes(node)
    return sorted(names)


def _chain(node: ast.AST) -> str:
    """Write a name with its attributes, ``a.b.c``; empty for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(names)]) if isinstance(node, ast.Name) else ""


def _spoken(nodes: list[ast.AST]) -> set[int]:
    """Nodes that only make texts of errors, warnings and log lines, by their identity."""
    spoken: set[int] = set()

    def mark(*expressions):
        for expression in expressions:
            spoken.update(map(id, ast.walk(expression)))

    for inner in nodes:
        if isinstance(inner, ast.Raise) and isinstance(inner.exc, ast.Call):
            mark(*inner.exc.args, *(keyword.value for keyword in inner.exc.keywords))
        elif isinstance(inner, ast.Call) and _speaks(inner):
            said = [*inner.args, *(keyword.value for keyword in inner.keywords)]
            mark(*filter(_is_inert, said))
        elif isinstance(inner, ast.Call) and _chain(inner.func) == "tqdm":
            mark(*(keyword.value for keyword in inner.keywords if keyword.arg == "desc"))
    functions = [[*ast.walk(inner)] for inner in nodes if isinstance(inner, ast.FunctionDef)]
    size = -1
    while len(spoken) > size:
        size = len(spoken)
        for function in functions:
            mark(*_spoken_values(function, spoken))
    return spoken


def _speaks(call: ast.Call) -> bool:
    """Whether a call makes an error for the user, a warning or a log line."""
    owner, _, name = _chain(call.func).rpartition(".")
    return name == "InputError" or (owner in LOGGERS and name in SPEECH)


def _is_inert(node: ast.expr) -> bool:
    """Whether an expression leaves nothing behind, as far as can be seen."""
    return not any(
        isinstance(inner, ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await)
        or (isinstance(inner, ast.Call) and _chain(inner.func).split(".")[-1] in ("next", "pop"))
        for inner in ast.walk(node)
    )


def _spoken_values(nodes: list[ast.AST], spoken: set[int]) -> list[ast.expr]:
    """Values of a function's local variables that are text and only go into texts."""
    values: dict[str, list] = {}
    settled = set()
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and len(getattr(node, "targets", [0])) == 1:
                values.setdefault(target.id, []).append(node.value)
                settled.add(id(target))
    barred = {
        name for node in nodes if isinstance(node, ast.Global | ast.Nonlocal) for name in node.names
    }
    barred |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        if isinstance(node, ast.Name) and id(node) not in (settled if _is_store(node) else spoken):
            barred.add(node.id)
    texts = [value for name in values.keys() - barred for value in values[name]]
    return [value for value in texts if all(map(_is_pure, ast.walk(value)))]


def _is_pure(node: ast.AST) -> bool:
    """Whether a node is none of a call that could do more than make text."""
    called = isinstance(node, ast.Call)
    return not (called and ast.unparse(node.func).split(".")[-1] not in PURE) and (
        not isinstance(node, ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await)
    )


def _handed(nodes: list[ast.AST], known: set, spoken: set[int]) -> dict[ast.expr, tuple[str, str]]:
    """Arguments that may be text, by what is called and their place: its position or name."""
    handed = {}
    for call in nodes:
        if not isinstance(call, ast.Call) or id(call) in spoken or _speaks(call):
            continue
        chain = _chain(call.func)
        if chain.split(".")[0] not in known or any(isinstance(a, ast.Starred) for a in call.args):
            continue
        places = [(str(place), argument) for place, argument in enumerate(call.args)]
        places += [(keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg]
        for place, argument in places:
            text = isinstance(argument, ast.Constant) and isinstance(argument.value, str)
            text = text or isinstance(argument, ast.JoinedStr | ast.Name)
            if text and id(argument) not in spoken:
                handed[argument] = (chain, place)
    return handed


def _defaults(function: ast.FunctionDef) -> dict[ast.expr, tuple[str, str]]:
    """Defaults of a function's arguments, as if handed to it."""
    names = [*function.args.posonlyargs, *function.args.args]
    defaults = function.args.defaults
    pairs = [*zip(names[len(names) - len(defaults) :], defaults, strict=True)]
    pairs += zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    return {default: (function.name, name.arg) for name, default in pairs if default is not None}


def _spoken_places(
    function: ast.FunctionDef, nodes: list[ast.AST], spoken: set[int], handed: dict
) -> dict[str, list]:
    """Places of a function's arguments that only go into texts, or on to other functions."""
    names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
    uses = {name: [] for name in names}
    uses |= {argument.arg: [] for argument in function.args.kwonlyargs}
    for node in nodes:
        if isinstance(node, ast.Name) and node.id in uses:
            uses[node.id].append(node)
    places = {}
    for name, used in uses.items():
        if all(id(node) in spoken or node in handed for node in used):
            places[name] = [list(handed[node]) for node in used if node in handed]
            if name in names:
                places[str(names.index(name))] = places[name]
    return places


class _Blank(ast.NodeTransformer):
    """Leaves out what is only said, and replaces other expressions by nothing."""

    def __init__(self, spoken: set[int], aside: set[int]):
        self.spoken, self.aside = spoken, aside

    def visit(self, node):
        return ast.Constant("") if id(node) in self.aside else super().visit(node)

    def visit_Call(self, node):
        node.args = [value for value in node.args if id(value) not in self.spoken]
        node.keywords = [word for word in node.keywords if id(word.value) not in self.spoken]
        return self.generic_visit(node)


class _Mute(ast.NodeTransformer):
    """Empties every string."""

    def visit_Constant(self, node):
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node):
        values = [value for value in node.values if isinstance(value, ast.FormattedValue)]
        return ast.JoinedStr([self.visit(value) for value in values])
