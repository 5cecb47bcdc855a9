"""A job's digest follows what the job reaches: no more, so that nothing reruns, and no less."""

import ast
import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from segxai.workflow.digest import digest, reached, read_sources, source_files
from segxai.workflow.plugins import KINDS, methods

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "scripts/cut.py": (
        "from segxai.cuts import ncut\nfrom segxai.log import InputError, log, run\n\n\n"
        "def main(x):\n    log.info('cut %s', x)\n    return ncut.cut(x)\n\n\n"
        "if __name__ == '__main__':\n    run(main, snakemake)\n"
    ),
    "segxai/__init__.py": "",
    "segxai/cuts/__init__.py": '"""Cuts."""\n',
    "segxai/cuts/ncut.py": (
        '"""Cuts."""\nimport numpy as np\nfrom ..graph import affinity\n\nUNUSED = 1\n\n\n'
        'def cut(x: np.ndarray) -> float:\n    """Cut x."""\n    return affinity(x)\n\n\n'
        "def unused(x):\n    return x\n"
    ),
    "segxai/graph.py": (
        "from segxai.log import InputError, REMEDY, require\n\n\n"
        "def affinity(x):\n    from segxai.kernels import gauss\n\n"
        "    problem = 'is negative'\n    if x < 0:\n        raise InputError(f'{x}: {problem}')\n"
        "    require(x, REMEDY, 'x')\n    return gauss(x, 2)\n"
    ),
    "segxai/kernels.py": "def gauss(x, sigma):\n    return x / sigma\n",
    "segxai/log.py": (
        "import logging\n\nlog = logging.getLogger('toy')\nREMEDY = 'try again'\n\n\n"
        "class InputError(Exception):\n    pass\n\n\n"
        "def describe(error):\n    return {1: 'full'}.get(error.errno, 'unknown')\n\n\n"
        "def require(x, remedy, name='y'):\n    if x is None:\n        refuse(remedy, name)\n\n\n"
        "def refuse(remedy, name):\n    raise InputError(f'{name} is missing; {remedy}')\n\n\n"
        "def run(main, snakemake):\n    try:\n        main(1)\n    except OSError as error:\n"
        "        log.error('error: %s', describe(error))\n"
    ),
    "segxai/unrelated.py": "answer = 42\n",
    "segxai/explainers/__init__.py": "",
    "segxai/explainers/ig.py": (
        "ABOUT = {'title': 'IG', 'signed': True}\n\n\ndef explain(x):\n    return x\n"
    ),
    "segxai/explainers/cam.py": "ABOUT = {'title': 'CAM'}\n\n\ndef explain(x):\n    return -x\n",
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    """Keep what is read of toy files away from the checkout."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def digest_with(tmp_path: Path):
    """Return a function that writes the toy study with some files replaced and digests it."""
    fresh = count()

    def write_and_digest(explainers: str = "ig", **changes: str) -> str:
        root = tmp_path / str(next(fresh))
        for name, text in (FILES | changes).items():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return digest("cut", root, explainers=explainers)

    return write_and_digest


def edited(file: str, old: str, new: str) -> dict[str, str]:
    """Replace a text in a toy file."""
    assert old in FILES[file]
    return {file: FILES[file].replace(old, new)}


def test_source_files_finds_every_import_form(digest_with, tmp_path):
    """Packages, `from package import module`, relative and in-function imports are recognised."""
    digest_with()
    assert set(source_files("cut", tmp_path / "0")) == {
        *("cut", "segxai", "segxai.cuts", "segxai.cuts.ncut"),
        *("segxai.graph", "segxai.kernels", "segxai.log"),
    }


def test_only_what_is_named_is_reached(digest_with, tmp_path):
    """Definitions that nothing names are left out, a method is there when a job loads it."""
    digest_with()
    names = reached("cut", tmp_path / "0", explainers=["ig"])
    assert {("segxai.kernels", "gauss"), ("segxai.log", "describe"), ("cut", "main")} <= names
    assert ("segxai.explainers.ig", "explain") in names
    assert not {("segxai.cuts.ncut", "unused"), ("segxai.explainers.cam", "explain")} & names


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scripts/cut.py", "ncut.cut(x)", "ncut.cut(-x)"),
        ("segxai/cuts/__init__.py", '"""\n', '"""\nprint(3)\n'),
        ("segxai/cuts/ncut.py", "affinity(x)", "-affinity(x)"),
        ("segxai/cuts/ncut.py", "UNUSED = 1", "np.seterr(all='raise')"),
        ("segxai/graph.py", "gauss(x, 2)", "gauss(x, 3)"),
        ("segxai/graph.py", "if x < 0", "if x < 1"),
        ("segxai/graph.py", "require(x, REMEDY, 'x')", "pass"),
        ("segxai/kernels.py", "x / sigma", "x / sigma**2"),
        ("segxai/kernels.py", "def gauss", "@register\ndef gauss"),
        ("segxai/explainers/ig.py", "return x", "return 2 * x"),
        ("segxai/explainers/ig.py", "True", "False"),
        ("segxai/log.py", "refuse(remedy, name)", "print(remedy, name)"),
    ],
)
def test_digest_changes_with_logic(digest_with, file, old, new):
    """A change of what the job reaches, however deep, is seen; so is what an import does."""
    assert digest_with() != digest_with(**edited(file, old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("segxai/kernels.py", "def gauss", "# A kernel.\ndef gauss"),
        ("segxai/kernels.py", "    return", '    """Kernel."""\n    return'),
        ("segxai/kernels.py", "x / sigma", "(\n        x / sigma\n    )"),
        (
            "segxai/kernels.py",
            "(x, sigma)",
            "(x: float, sigma: int = 2) -> float".replace(" = 2", ""),
        ),
        ("segxai/unrelated.py", "42", "43"),
        ("segxai/cuts/ncut.py", "UNUSED = 1", "UNUSED = 2"),
        ("segxai/cuts/ncut.py", "    return x\n", "    return -x\n"),
        ("segxai/explainers/cam.py", "return -x", "return x"),
        ("segxai/explainers/ig.py", "'IG'", "'Integrated Gradients'"),
        ("scripts/cut.py", "log.info('cut %s', x)", "log.info('%s of %s is cut', x, 3)"),
        ("segxai/graph.py", "f'{x}: {problem}'", "'wrong: ' + problem"),
        ("segxai/graph.py", "'is negative'", "'is below zero'"),
        ("segxai/graph.py", "REMEDY, 'x')", "REMEDY, 'the value')"),
        ("segxai/log.py", "'try again'", "'run again'"),
        ("segxai/log.py", "name='y'", "name='a value'"),
        ("segxai/log.py", "'full'", "'the disk is full'"),
    ],
)
def test_digest_ignores_everything_but_logic(digest_with, file, old, new):
    """Comments, docstrings, layout, annotations, what is not reached and texts change nothing."""
    assert digest_with() == digest_with(**edited(file, old, new))


@pytest.mark.parametrize(
    "use",
    [
        "from segxai.kernels import *\n\n\ndef affinity(x):\n    return gauss(x, 2)\n",
        "from segxai import kernels as k\n\n\ndef affinity(x):\n    return getattr(k, 'g')(x)\n",
        "import segxai.kernels\n\n\ndef affinity(x):\n    return vars(segxai.kernels)['f'](x)\n",
        "from importlib import import_module as load\n\n\n"
        "def affinity(x):\n    return load('segxai.kernels').gauss(x, 2)\n",
    ],
    ids=["star", "getattr", "value", "string"],
)
def test_unseen_use_counts_the_whole_module(digest_with, use):
    """If the used part of a module is not evident, all of it counts."""
    more = FILES["segxai/kernels.py"] + "\n\ndef other(x):\n    return x\n"
    whole = {"segxai/graph.py": use}
    assert digest_with(**whole) != digest_with(**whole, **{"segxai/kernels.py": more})
    assert digest_with() == digest_with(**{"segxai/kernels.py": more})


def test_texts_that_logic_also_uses_count(digest_with):
    """A string is not part of a message if a comparison or a result depends on it."""
    used = edited("segxai/graph.py", "gauss(x, 2)", "gauss(x, len(problem))")
    again = {"segxai/graph.py": used["segxai/graph.py"].replace("is negative", "is below zero")}
    assert digest_with(**used) != digest_with(**again)
    compared = edited("segxai/log.py", "if x is None", "if x is None or name == 'x'")
    other = edited("segxai/graph.py", "'x')", "'y')")
    assert digest_with(**compared) != digest_with(**compared, **other)


def test_a_hidden_function_is_not_the_one_that_is_called(digest_with):
    """An argument of the name of a function that only says what it gets is another function."""
    kernel = (
        "def tell(x):\n    raise ValueError(x)\n\n\n"
        "def gauss(x, sigma, tell=str):\n    return tell('a')\n"
    )
    first, second = ({"segxai/kernels.py": text} for text in (kernel, kernel.replace("'a'", "'b'")))
    assert digest_with(**first) != digest_with(**second)


def test_swapped_arguments_are_seen(digest_with):
    """The places of strings among calls count, not only the strings."""
    calls = (
        "def gauss(x, sigma):\n    return pick('a'), pick('b')\n\n\ndef pick(x):\n    return x\n"
    )
    swapped = calls.replace("'a'", "'c'").replace("'b'", "'a'").replace("'c'", "'b'")
    first, second = ({"segxai/kernels.py": text} for text in (calls, swapped))
    assert digest_with(**first) != digest_with(**second)


def test_imports_of_other_packages_are_distinguished(digest_with):
    """The same name from another package is another function."""
    kernel = "from math import sin as f\n\n\ndef gauss(x, sigma):\n    return f(x)\n"
    other = kernel.replace("sin", "cos")
    assert digest_with(**{"segxai/kernels.py": kernel}) != digest_with(
        **{"segxai/kernels.py": other}
    )


def test_digest_survives_recursive_imports(digest_with):
    """Two modules that import each other do not hang the digest."""
    assert digest_with(**{"segxai/kernels.py": "from segxai import graph\n\ngauss = graph\n"})


def test_digest_names_what_is_missing(digest_with, tmp_path):
    """A rule without its script, a method without file and a broken import are reported."""
    with pytest.raises(FileNotFoundError, match=r"scripts/cut\.py is missing"):
        digest("cut", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"segxai/explainers/lime\.py is missing"):
        digest_with(explainers="lime")
    with pytest.raises(ModuleNotFoundError, match=r"segxai\.metric.*segxai/metric/overlap\.py is"):
        digest_with(**{"segxai/graph.py": "import segxai.metric.overlap\n\naffinity = 1\n"})


def test_damaged_cache_is_ignored(digest_with, tmp_path):
    """Earlier readings are kept by time and size; a damaged file of them is ignored."""
    before, cache = digest_with(), tmp_path / ".snakemake/segxai-digests.json"
    assert cache.is_file()
    for damaged in ("", "{}", "[1]", cache.read_text()[:-30]):
        cache.write_text(damaged)
        assert digest_with() == before


def test_workflow_is_stdlib_only():
    """segxai.workflow imports without site-packages, so parsing the Snakefile stays instant."""
    modules = sorted(path.stem for path in (ROOT / "segxai/workflow").glob("[a-z]*.py"))
    program = f"import {', '.join(f'segxai.workflow.{name}' for name in modules)}"
    subprocess.run([sys.executable, "-S", "-c", program], cwd=ROOT, check=True)


def scripts_of(root: Path) -> list[str]:
    """Names of the scripts of a checkout."""
    return sorted(path.stem for path in (root / "scripts").glob("*.py"))


def digests(root: Path) -> dict[str, str]:
    """Digests of every script alone, and of one with each method."""
    made = {script: digest(script, root) for script in scripts_of(root)}
    for kind in KINDS:
        made |= {
            f"{kind} {method}": digest("explain", root, **{kind: method})
            for method in methods(kind, root)
        }
    return made


@pytest.fixture
def checkout(tmp_path):
    """Return a function that copies what digests are of to a folder."""

    def copy(name: str) -> Path:
        for folder in ("scripts", "segxai"):
            shutil.copytree(ROOT / folder, tmp_path / name / folder, copy_function=shutil.copy2)
        return tmp_path / name

    return copy


def test_a_new_method_of_any_kind_changes_no_digest(checkout):
    """A file more in each folder of methods is reached by no job that does not name it."""
    root = checkout("before")
    before = digests(root)
    for kind in KINDS:
        text = 'ABOUT = {"title": "New", "settings": {}}\n\n\ndef new(x):\n    return x\n'
        (root / f"segxai/{kind}/brand_new.py").write_text(text)
    read_sources.cache_clear()
    after = checkout("after")
    for kind in KINDS:
        shutil.copy2(root / f"segxai/{kind}/brand_new.py", after / f"segxai/{kind}")
    assert {name: value for name, value in digests(after).items() if name in before} == before


def reworded(text: str) -> str:
    """Write a module anew with another text in every error, warning and log line."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            call = node.exc
        elif isinstance(node, ast.Call) and re.match(
            r"(log|warnings)\.|InputError$", name_of(node)
        ):
            call = node
        else:
            continue
        for part in (inner for value in call.args for inner in ast.walk(value)):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                part.value = f"other words for {part.value}"
    return ast.unparse(tree)


def name_of(call: ast.Call) -> str:
    """Write the name of what is called."""
    return ast.unparse(call.func)


def test_rewording_every_error_changes_no_digest(checkout):
    """Other texts in all errors and log lines of all modules and scripts rerun nothing."""
    before = digests(checkout("before"))
    root = checkout("after")
    changed = 0
    for path in [*root.rglob("*.py")]:
        text = path.read_text()
        path.write_text(reworded(text))
        changed += path.read_text() != ast.unparse(ast.parse(text))
    assert changed > 20
    for name, remedy in (("files", "delete it and run"), ("log", "free some disk space")):
        path = root / f"segxai/job/{name}.py"
        text = path.read_text()
        assert remedy in text
        path.write_text(text.replace(remedy, f"please {remedy}"))
    assert digests(root) == before


def test_an_explainers_equation_changes_its_own_digest(checkout):
    """A change in one explainer is seen by the jobs that load it, and by no other."""
    before = digests(checkout("before"))
    root = checkout("after")
    path = root / "segxai/explainers/gradient_shap.py"
    text = path.read_text()
    path.write_text(re.sub(r"\n    return ", "\n    return 1 * ", text, count=1))
    assert path.read_text() != text
    after = digests(root)
    assert [name for name in before if before[name] != after[name]] == ["explainers gradient_shap"]


def test_planning_reads_unchanged_files_once(checkout, tmp_path):
    """A second run takes what the first read from its cache, and finds the same."""
    root = checkout("tree")
    before = digests(root)
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "import ast\n"
        "def refuse(*_, **__): raise AssertionError('read again')\n"
        "ast.parse = refuse\n"
        "from pathlib import Path\nfrom segxai.workflow.digest import digest\n"
        f"print(digest('explain', Path({str(root)!r})))\n"
    )
    process = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert process.stdout.strip() == before["explain"]
