"""Mutation test: share of single-line faults in the scientific modules that unit tests detect.

    .venv/bin/python benchmarks/mutations.py [number of faults, 60] [seed, 1] [report.csv]

Each fault changes one expression of one function: an arithmetic operator, a comparison, a number,
the order of two arguments, `min` and `max`, or a `not`. The tests that import the module, and those
that run over its folder of methods, then those of the modules that import it, are run on a copy of
the checkout until the first failure. An undetected fault has survived; some of these do not change
the function's result. The drawings of the phantoms are left out.
"""

import ast
import random
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("datasets", "images", "networks", "explain", "explainers", "views", "segmenters")
FOLDERS += ("metrics", "stats")
CONTRACTS = {
    "explainers": ["test_explainer_contract.py"],
    "datasets": ["test_reader_contract.py"],
    "metrics": ["test_metrics.py"],
    "views": ["test_views.py"],
    "segmenters": ["test_segmenters.py"],
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
LIMIT = 600  # seconds for the tests of one fault; a fault that makes them hang counts as detected


def mutated(node: ast.expr) -> ast.expr | None:
    """Return a changed copy of an expression, or None if it has nothing to change."""
    match node:
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            return ast.BinOp(node.left, OPERATORS[type(operator)](), node.right)
        case ast.Compare(ops=[operator]) if type(operator) in OPERATORS:
            return ast.Compare(node.left, [OPERATORS[type(operator)]()], node.comparators)
        case ast.BoolOp(op=operator):
            return ast.BoolOp(OPERATORS[type(operator)](), node.values)
        case ast.UnaryOp(op=ast.Not()):
            return node.operand
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | float()):
            return ast.Constant(node.value + 1 if isinstance(node.value, int) else 2 * node.value)
        case ast.Call(args=[first, second, *others]):
            return ast.Call(node.func, [second, first, *others], node.keywords)
        case ast.Attribute(attr=name) if name in NAMES:
            return ast.Attribute(node.value, NAMES[name], ast.Load())
        case ast.Name(id=name) if name in NAMES:
            return ast.Name(NAMES[name], ast.Load())
    return None


def faults(path: Path) -> list[tuple[int, int, int, str, str]]:
    """List the faults of a module: line, first and last column, old and new text."""
    text = path.read_text(encoding="utf-8")
    listed = []
    for function in ast.walk(ast.parse(text)):
        if not isinstance(function, ast.FunctionDef):
            continue
        for node in (part for statement in function.body for part in ast.walk(statement)):
            # Messages are not part of the science.
            if isinstance(node, ast.expr) and node.lineno == node.end_lineno:
                new = mutated(node)
                old = ast.get_source_segment(text, node)
                if new is not None and ast.unparse(new) != old and "Error" not in old:
                    place = (node.lineno, node.col_offset, node.end_col_offset)
                    listed.append((*place, old, f"({ast.unparse(ast.fix_missing_locations(new))})"))
    return sorted(set(listed))


def readers_of(module: str) -> list[str]:
    """Return the modules that import a module."""
    files = sorted((ROOT / "segxai").rglob("*.py"))
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if f"{module} import" in path.read_text()
    ]


def tests_of(module: str) -> list[str]:
    """Return the files of unit tests that import a module or run over its folder."""
    kind = module.split(".")[1]
    name = module.rsplit(".", 1)[-1]
    named = [
        path.name
        for path in sorted((ROOT / "tests/unit").glob("test_*.py"))
        if module in path.read_text() or re.search(rf"\b{name}\b", path.read_text())
    ]
    return [f"tests/unit/{file}" for file in sorted({*named, *CONTRACTS.get(kind, [])})]


def notices(copy: Path, files: list[str]) -> bool:
    """Whether one of the tests in `files` fails on a copy of the checkout."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files]
    try:
        done = subprocess.run(command, cwd=copy, capture_output=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main(n_faults: int = 60, seed: int = 1, report: str = "mutations.csv") -> None:
    """Draw faults, from each folder in proportion to its share, and test each."""
    drawn = random.Random(seed)
    listed = [
        (path.relative_to(ROOT), *fault)
        for folder in FOLDERS
        for path in sorted((ROOT / "segxai" / folder).glob("*.py"))
        for fault in faults(path)
    ]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        ignored = shutil.ignore_patterns(".venv", ".git", "demo", "runs", "results", "__pycache__")
        shutil.copytree(ROOT, copy, ignore=ignored)
        for name, line, start, end, old, new in drawn.sample(listed, n_faults):
            module = ".".join(name.with_suffix("").parts)
            sound = (ROOT / name).read_text()
            lines = sound.splitlines(keepends=True)
            # Columns of the syntax tree count bytes.
            row = lines[line - 1].encode()
            lines[line - 1] = (row[:start] + new.encode() + row[end:]).decode()
            (copy / name).write_text("".join(lines))
            files = tests_of(module)
            further = {file for reader in readers_of(module) for file in tests_of(reader)}
            rounds = files, sorted(further - {*files})
            killed = any(notices(copy, some) for some in rounds if some)
            (copy / name).write_text(sound)
            rows.append([str(name), line, old, new, killed])
            print(
                f"{'killed  ' if killed else 'SURVIVED'} {name}:{line}: {old} → {new}", flush=True
            )
            table = pd.DataFrame(rows, columns=["file", "line", "old", "new", "killed"])
            table.to_csv(report, index=False)
    print(f"{table.killed.sum()} of {len(table)} killed, of {len(listed)} possible faults")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(*(int(text) for text in arguments[:2]), *arguments[2:3])
