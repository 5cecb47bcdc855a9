"""The conda files agree with the lock, and contain the imports of the scripts."""

import ast
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from segxai.workflow.digest import source_files
from segxai.workflow.plugins import KINDS, about, methods

ROOT = Path(__file__).resolve().parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
RULES = "\n".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))

# Names on PyPI of packages that conda-forge and bioconda call something else.
ON_PYPI = {"pytorch": "torch", "matplotlib-base": "matplotlib", "snakemake-minimal": "snakemake"}
# Requirements of PyTorch that the lock leaves out: see the Makefile.
LEFT_OUT = {"triton"}
# Packages whose import name is not the name they are installed under.
INSTALLED_AS = {"PIL": "pillow", "skimage": "scikit-image", "pydensecrf": "pydensecrf2"}


def packages(env: Path) -> dict[str, SpecifierSet]:
    """Versions that a conda file accepts, by name on PyPI; Python left out."""
    lines = []
    for line in yaml.safe_load(env.read_text(encoding="utf-8"))["dependencies"]:
        lines += line["pip"] if isinstance(line, dict) else [line]
    wanted = [Requirement(line) for line in lines if not line.startswith("python=")]
    return {ON_PYPI.get(package.name, package.name): package.specifier for package in wanted}


@cache
def locked() -> dict[str, set[Version]]:
    """Versions in the lock by name: more than one where they depend on Python's version."""
    versions = {}
    for name, version in re.findall(
        r"^([\w-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE
    ):
        versions.setdefault(name, set()).add(Version(version))
    return versions


@pytest.mark.parametrize("env", ENVS, ids=lambda path: path.stem)
def test_ranges_agree_with_lock(env):
    """A conda file accepts each package from the lock's version on, below the next major one."""
    ranges = packages(env)
    assert ranges.pop("pip", SpecifierSet()) == SpecifierSet()
    versions = {name: locked()[name] for name in ranges}
    assert ranges == {
        name: SpecifierSet(f">={min(known)},<{max(known).major + 1}")
        for name, known in versions.items()
    }


@pytest.mark.parametrize("env", ENVS, ids=lambda path: path.stem)
def test_channels_are_free(env):
    """Packages come from conda-forge first and never from the commercial default channel."""
    channels = yaml.safe_load(env.read_text())["channels"]
    assert channels[0] == "conda-forge"
    assert channels[-1] == "nodefaults"


# Kinds of the methods that a job loads, by the function that makes its digest.
DIGESTS = {
    "digest": [],
    "code": [],
    "check_code": ["networks", "explainers"],
    "read_code": ["datasets"],
    "segment_code": ["segmenters", "views"],
    "score_code": ["metrics", "views", "segmenters"],
}
# What the segmenters read first that a script runs.
READ = {
    "tune_segmenter": {"view"},
    "segment_maps": {"view"},
    "segment_network": {"keys", "levels", "network"},
    "segment_control": {"training"},
    "score_maps": {"truth"},
    "score_masks": set(),
}


def rule_envs() -> list[tuple[str, str]]:
    """Script and conda file of each rule."""
    return re.findall(
        r'env\("(\w+)"\)(?:(?!\nrule ).)*?"\.\./scripts/(\w+)\.py"', RULES, flags=re.DOTALL
    )


@cache
def plugins(script: str) -> dict[str, list[str]]:
    """Methods that the rules may give to a script, by kind."""
    function, given = re.search(rf'code=(\w+)\(\s*"{script}"(.*?)\),$', RULES, re.M | re.S).groups()
    named = re.findall(r"\w+", given)
    kinds = [kind for kind in KINDS if kind in {*named, *DIGESTS[function]}]
    known = {kind: methods(kind) for kind in kinds}
    if "segmenters" in known:
        known["segmenters"] = [
            name
            for name in known["segmenters"]
            if about("segmenters", name)["reads"][0] in READ[script]
        ]
    return known


def test_every_method_is_run_by_a_script():
    """The table above covers all segmenters and all other methods."""
    run = {
        (kind, name)
        for _, script in rule_envs()
        for kind, names in plugins(script).items()
        for name in names
    }
    assert run == {(kind, name) for kind in KINDS for name in methods(kind)}


def imports(path: Path) -> set[str]:
    """Packages that a file imports as soon as it is loaded."""
    names = set()
    pending = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module)
        elif not isinstance(node, ast.FunctionDef):
            pending += ast.iter_child_nodes(node)
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"segxai"}


@pytest.mark.parametrize(("env", "script"), rule_envs())
def test_env_holds_what_the_script_imports(env, script):
    """A script's conda file has every package that it and its methods import."""
    needed = set().union(*map(imports, source_files(script, **plugins(script)).values()))
    needed = {INSTALLED_AS.get(name, name) for name in needed}
    assert needed - packages(ROOT / "envs" / f"{env}.yaml").keys() == set()


def with_dependencies(names: set[str]) -> set[str]:
    """Names of packages and of all that they depend on, as installed here."""
    needed, pending = set(), {(name, "") for name in names}
    while pending:
        name, extra = pending.pop()
        needed.add(name)
        for line in distribution(name).requires or []:
            requirement = Requirement(line)
            if requirement.name in LEFT_OUT:
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                wanted = {(requirement.name, option) for option in ["", *requirement.extras]}
                pending |= {pair for pair in wanted if pair[0] not in needed or pair[1]}
    return needed


@pytest.fixture
def only(tmp_path):
    """Return a function that starts Python where nothing but some packages is installed."""

    def run(names: set[str], code: str) -> subprocess.CompletedProcess:
        for name in with_dependencies(names):
            package = distribution(name)
            for top in {file.parts[0] for file in package.files} - {"..", "__pycache__"}:
                if not (tmp_path / top).exists():
                    (tmp_path / top).symlink_to(package.locate_file(top))
        path = f"import sys; sys.path += {[str(tmp_path), str(ROOT)]}; "
        # Neither this environment's packages (-S) nor what PYTHONPATH names (-I).
        program = [sys.executable, "-I", "-S", "-c", path + code]
        return subprocess.run(program, cwd=ROOT, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("env", sorted({env for env, _ in rule_envs()}))
def test_scripts_load_with_nothing_but_their_env(env, only):
    """Scripts of a conda file and their methods load where its packages alone are installed."""
    scripts = [script for name, script in rule_envs() if name == env]
    files = [f"scripts/{script}.py" for script in scripts]
    modules = {
        f"segxai.{kind}.{name}"
        for script in scripts
        for kind, names in plugins(script).items()
        for name in names
    }
    loaded = only(
        set(packages(ROOT / "envs" / f"{env}.yaml")) - {"pip"},
        f"import importlib, runpy; [runpy.run_path(file) for file in {files}]; "
        f"[importlib.import_module(name) for name in {sorted(modules)}]",
    )
    assert loaded.returncode == 0, loaded.stderr


def test_nothing_else_is_installed_there(only):
    """Where NumPy alone is installed, a script of the tables does not load."""
    loaded = only({"numpy"}, "import runpy; runpy.run_path('scripts/make_table.py')")
    assert "No module named 'pandas'" in loaded.stderr


def test_study_is_planned_with_nothing_but_its_env(only, tmp_path):
    """The workflow's conda file is enough to plan the demo; NumPy is not there."""
    names = set(packages(ROOT / "envs/workflow.yaml"))
    assert "numpy" not in with_dependencies(names)
    options = ["-n", "--quiet", "--configfile", "config/overlays/demo.yaml"]
    options += ["--directory", str(tmp_path)]
    planned = only(names, f"from snakemake.cli import main; main({options})")
    assert planned.returncode == 0, planned.stdout + planned.stderr
