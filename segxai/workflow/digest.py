"""What the Snakefile needs of the sources while it is parsed: their digests.

Only the standard library is imported here, so that ``snakemake -n`` stays instant.
"""

import ast
import hashlib
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def source_digest(script: str, root: Path = ROOT) -> str:
    """Hash the logic behind a rule: its script and every segxai module that the script imports.

    Snakemake reruns a job when its params change but not when an imported module does, so each
    rule carries this digest as a param. It is taken over syntax trees: comments, docstrings and
    layout do not change it. Imports are read, not executed; one whose name is computed at run
    time is not seen.

    Parameters
    ----------
    script : str
        Name of a script in ``scripts/``, without ``.py``.
    root : Path
        The checkout.

    Returns
    -------
    str
        16 hexadecimal digits.

    Raises
    ------
    FileNotFoundError
        If there is no such script.
    ModuleNotFoundError
        If an imported segxai module does not exist.
    """
    sources = source_files(script, root)
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\n{ast.dump(_logic(sources[name]))}\n".encode())
    return digest.hexdigest()[:16]


def source_files(script: str, root: Path = ROOT) -> dict[str, Path]:
    """Find a script and the segxai modules that it imports, directly or not.

    Returns
    -------
    dict of str to Path
        File of each module by its dotted name, a package under its own name, and the script
        under ``script``.

    Raises
    ------
    FileNotFoundError, ModuleNotFoundError
        As in :func:`source_digest`.
    """
    path = root / "scripts" / f"{script}.py"
    if not path.is_file():
        raise FileNotFoundError(f"scripts/{script}.py is missing: every rule has its own script.")
    files = {script: path}
    pending = [(script, path)]
    while pending:
        importer, path = pending.pop()
        for name in sorted(_imported_modules(importer, path, root)):
            if name not in files:
                files[name] = _module_file(name, root)
                pending.append((name, files[name]))
    return files


@cache
def _imported_modules(importer: str, path: Path, root: Path) -> set[str]:
    """Names of the segxai modules that one file imports, with the packages they lie in."""
    package = importer if path.name == "__init__.py" else importer.rpartition(".")[0]
    names = set()
    for node in ast.walk(_logic(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names.add(base)
            members = (f"{base}.{alias.name}" for alias in node.names)
            names.update(name for name in members if _find_module(name, root))
    inside = [name.split(".") for name in names if name.split(".")[0] == "segxai"]
    return {".".join(parts[: depth + 1]) for parts in inside for depth in range(len(parts))}


def _module_file(name: str, root: Path) -> Path:
    """File of a segxai module that must exist."""
    path = _find_module(name, root)
    if path is None:
        raise ModuleNotFoundError(f"{name} is imported but {name.replace('.', '/')}.py is missing.")
    return path


def _find_module(name: str, root: Path) -> Path | None:
    """File of a module or package below `root`, or None for anything else."""
    stem = root.joinpath(*name.split("."))
    candidates = (stem / "__init__.py", stem.with_name(f"{stem.name}.py"))
    return next((path for path in candidates if path.is_file()), None)


@cache
def _logic(path: Path) -> ast.Module:
    """Parse a file, leaving out its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return tree
