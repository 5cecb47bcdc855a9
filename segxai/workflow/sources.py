"""Definitions of a Python file, with the names and messages in each (standard library only).

A *part* is a top-level statement. Its *messages* are expressions that only make the text of an
error, a warning or a log line; no result of a job depends on them. A value that is passed to a
function, or kept in a variable, belongs to a message if it is used only in messages there.
"""

import ast
import re
from importlib.util import resolve_name
from pathlib import Path

LOGGERS = {"log", "logging", "warnings"}
LOG_CALLS = {"debug", "info", "warning", "error", "exception", "critical", "log", "warn"}
# Calls that only make text or numbers from their arguments.
PURE = {"str", "repr", "len", "sorted", "map", "list", "min", "max", "sum", "type"}
PURE |= {"get", "join", "format", "strip", "rstrip", "removesuffix", "split", "lower", "replace"}
# Keys of a method's ABOUT that only people or the configuration read.
PROSE = {"title", "cites", "settings", "undefined"}
# Decorators without an effect outside the decorated definition.
HARMLESS = {"dataclass", "cache", "lru_cache", "contextmanager", "no_grad", "inference_mode"}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
DEFINITION = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
IMPORT = ast.Import | ast.ImportFrom

# Use of an expression: in a message, in logic, or as an argument (the called name, and a position
# or name); for a variable of the same part, the called name is empty.
Use = str | tuple[str, str]
MESSAGE, LOGIC = "message", "logic"


class Part:
    """A top-level statement, read once: its bindings, names, messages and passed values."""

    def __init__(self, module: "Module", node: ast.stmt):
        self.module, self.node = module, node
        self.names = _bound(node)
        # Whether it has an effect on import besides binding its names.
        self.always = _acts(node)
        # Dotted names and how they are used, by their first name; names that may hide others.
        self.named: dict[str, list[tuple[str, Use]]] = {}
        self.locals: set[str] = set()
        # Expressions in messages or passed on, without those inside them.
        self.uses: dict[ast.AST, Use] = {}
        # Imports within it: meanings of names, and modules.
        self.imports, self.loads = {}, []
        # Names of a function's arguments, positional ones first.
        self.parameters, self.positions = [], 0
        if isinstance(node, ast.FunctionDef):
            positional = [*node.args.posonlyargs, *node.args.args]
            self.parameters = [word.arg for word in [*positional, *node.args.kwonlyargs]]
            self.positions = len(positional)
        self._read(node, LOGIC, False)

    def _read(self, node: ast.AST, use: Use, local: bool) -> None:
        """Record names and uses below a node; `local` if assignments there bind local variables."""
        if isinstance(node, IMPORT):
            self.module.note_import(node, self.imports, self.loads)
        elif chain := _chain(node):
            self.named.setdefault(chain.split(".")[0], []).append((chain, use))
        elif isinstance(node, ast.arg | ast.Name):
            self.locals.add(getattr(node, "arg", None) or node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            for name in node.names:
                self.named.setdefault(name, []).append((name, LOGIC))
        elif isinstance(node, ast.Constant) and re.fullmatch(r"segxai(\.\w+)+", str(node.value)):
            self.named.setdefault("segxai", []).append((node.value, use))
        else:
            local = isinstance(node, FUNCTION) or (local and not isinstance(node, ast.ClassDef))
            uses = _uses(node, local) if use == LOGIC else {}
            # A raised exception is also a call; its arguments are recorded already.
            uses = {inner: other for inner, other in uses.items() if inner not in self.uses}
            self.uses |= uses
            for inner, other in uses.items():
                self._read(inner, other, local)
            self._read_rest(node, use, local)

    def _read_rest(self, node: ast.AST, use: Use, local: bool) -> None:
        """Read the rest below a node: neither messages nor passed values."""
        for inner in ast.iter_child_nodes(node):
            if isinstance(inner, ast.arguments | ast.keyword):
                self._read_rest(inner, use, local)
            elif inner not in self.uses:
                self._read(inner, use, local)


class Module:
    """A file: its parts by the names they bind, and what it imports at its top level.

    `loads` are the imported modules, with ``.*`` for star imports.
    """

    def __init__(self, name: str, path: Path, modules: set[str]):
        self.name, self.modules = name, modules
        self.package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.imports, self.loads = {}, []
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        _strip(tree)
        body = [node for node in tree.body if not _is_skipped(node, script=not self.package)]
        for node in body:
            # Imports of a top-level block are valid in the whole file.
            for inner in [] if isinstance(node, DEFINITION) else ast.walk(node):
                if isinstance(inner, IMPORT):
                    self.note_import(inner, self.imports, self.loads)
        self.parts = [Part(self, node) for node in body if not isinstance(node, IMPORT)]
        self.by_name = {}
        for part in self.parts:
            for name in part.names:
                # Both of two bindings of a name count.
                other = self.by_name.setdefault(name, part)
                part.always, other.always = (part.always or other is not part,) * 2

    def note_import(self, node: ast.Import | ast.ImportFrom, imports: dict, loads: list) -> None:
        """Record the names that an import binds, and the segxai modules that it loads."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.split(".")[0]
                imports[alias.asname or name] = name
            imported = [alias.name for alias in node.names]
        else:
            base = resolve_name("." * node.level + (node.module or ""), self.package or None)
            members = {alias.name: f"{base}.{alias.name}" for alias in node.names}
            imports |= {alias.asname or alias.name: members[alias.name] for alias in node.names}
            imported = [base, *(name for name in members.values() if name in self.modules)]
            imported += [members["*"]] if "*" in members else []
        loads += [name for name in imported if name.split(".")[0] == "segxai"]


def _strip(tree: ast.Module) -> None:
    """Remove docstrings, annotations (except of class fields), and prose in ABOUT."""
    fields = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | DEFINITION):
            if ast.get_docstring(node, clean=False) is not None:
                del node.body[0]
            if isinstance(node, ast.ClassDef):
                fields.update(node.body)
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign) and node not in fields:
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ABOUT":
            pairs = zip(node.value.keys, node.value.values, strict=True)
            kept = [pair for pair in pairs if getattr(pair[0], "value", None) not in PROSE]
            node.value = ast.Dict([name for name, _ in kept], [value for _, value in kept])


def _is_skipped(node: ast.stmt, script: bool) -> bool:
    """Whether a statement never runs in a job: imports for types, the main block of a module."""
    test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
    return test.endswith("TYPE_CHECKING") or (test.startswith("__name__ ==") and not script)


def _bound(node: ast.stmt) -> list[str]:
    """Names that a top-level statement binds."""
    if isinstance(node, DEFINITION):
        return [node.name]
    within = node.targets if isinstance(node, ast.Assign) else [node]
    nodes = [inner for place in within for inner in ast.walk(place)]
    names = [inner.name for inner in nodes if isinstance(inner, DEFINITION)]
    stored = (inner for inner in nodes if isinstance(inner, ast.Name))
    names += [inner.id for inner in stored if isinstance(inner.ctx, ast.Store)]
    return list(dict.fromkeys(names))


def _acts(node: ast.stmt) -> bool:
    """Whether a top-level statement has an effect besides binding its names."""
    if isinstance(node, DEFINITION):
        called = (getattr(inner, "func", inner) for inner in node.decorator_list)
        return any(ast.unparse(name).split(".")[-1] not in HARMLESS for name in called)
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return not all(isinstance(target, ast.Name | ast.Tuple) for target in targets)
    return True


def _chain(node: ast.AST) -> str:
    """Name that is read, with its attributes, ``a.b.c``; empty for other expressions."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or isinstance(node.ctx, ast.Store):
        return ""
    return ".".join([node.id, *reversed(names)])


def _uses(node: ast.AST, local: bool) -> dict[ast.expr, Use]:
    """Expressions directly in a node that belong to messages or are passed on."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return {value: MESSAGE for value in _arguments(node.exc).values() if _is_inert(value)}
    if isinstance(node, ast.Call):
        chain, arguments = _chain(node.func), _arguments(node)
        owner, _, name = chain.rpartition(".")
        if name == "InputError" or (owner in LOGGERS and name in LOG_CALLS):
            return {value: MESSAGE for value in arguments.values() if _is_inert(value)}
        if chain == "tqdm":
            return {arguments["desc"]: MESSAGE} if "desc" in arguments else {}
        if not chain or any(isinstance(value, ast.Starred) for value in node.args):
            return {}
        return {value: (chain, place) for place, value in arguments.items() if _is_pure(value)}
    if isinstance(node, FUNCTION):
        names = [*node.args.posonlyargs, *node.args.args]
        names = names[len(names) - len(node.args.defaults) :] + node.args.kwonlyargs
        values = node.args.defaults + node.args.kw_defaults
        pairs = zip(values, names, strict=True)
        return {value: ("", name.arg) for value, name in pairs if value and _is_pure(value)}
    if local and isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign) and node.value:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if len(targets) == 1 and isinstance(targets[0], ast.Name) and _is_pure(node.value):
            return {node.value: ("", targets[0].id)}
    return {}


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    """Arguments of a call by position or name."""
    named = {word.arg: word.value for word in call.keywords if word.arg}
    return {str(place): value for place, value in enumerate(call.args)} | named


def _is_inert(node: ast.expr) -> bool:
    """Whether an expression has no visible side effect."""
    return not any(
        isinstance(inner, ast.NamedExpr | ast.Yield | ast.YieldFrom | ast.Await)
        or (isinstance(inner, ast.Call) and _called(inner) in ("next", "pop"))
        for inner in ast.walk(node)
    )


def _is_pure(node: ast.expr) -> bool:
    """Whether an expression only calls functions that make text and numbers."""
    calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
    return _is_inert(node) and all(_called(call) in PURE for call in calls)


def _called(call: ast.Call) -> str:
    """Last part of the called name."""
    return ast.unparse(call.func).split(".")[-1]
