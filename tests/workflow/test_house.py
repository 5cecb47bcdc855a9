"""The house rules: what every rule declares, what parses, how long things may get."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
MODULES = sorted((ROOT / "segxai").rglob("*.py"))
CONFIGS = ["config.yaml", "demo.yaml"]


def read_rules() -> dict[str, str]:
    """Text of each rule by name, as snakefmt lays it out: up to the next unindented line."""
    rules = {}
    for path in RULE_FILES:
        if path.exists():
            found = re.findall(
                r"^(?:rule|checkpoint) (\w+):\n((?:    .*\n|\n)+)", path.read_text(), re.M
            )
            rules |= dict(found)
    return rules


RULES = read_rules()
# A rule without output only names targets; the others run a script.
JOBS = {name: text for name, text in RULES.items() if "\n    output:" in text}


def snakemake(*arguments, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    """Run Snakemake in the checkout and capture what it says."""
    program = [sys.executable, *python, "-m", "snakemake", *map(str, arguments)]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True)


def lines(path: Path) -> int:
    """Count the lines of a file."""
    return len(path.read_text().splitlines())


def too_long(paths: list[Path], limit: int) -> dict[str, int]:
    """Name the files with more lines than `limit`."""
    return {str(path.relative_to(ROOT)): lines(path) for path in paths if lines(path) > limit}


@pytest.mark.parametrize("name", RULES)
def test_rule_is_documented(name):
    """Every rule opens with a docstring."""
    assert RULES[name].lstrip().startswith('"""')


@pytest.mark.parametrize("name", JOBS)
def test_job_declares_what_it_needs(name):
    """A job has a log, a benchmark, an environment, its source digest and its own script."""
    text = JOBS[name]
    assert re.search(rf'log:\n        "logs/{name}(/.+)?\.log"', text)
    assert re.search(rf'benchmark:\n        "benchmarks/{name}(/.+)?\.tsv"', text)
    assert f'code=source_digest("{name}")' in text
    assert f'"../scripts/{name}.py"' in text
    (env,) = re.findall(r'"\.\./envs/(\w+\.yaml)"', text)
    assert (ROOT / "envs" / env).is_file()


@pytest.mark.parametrize("name", JOBS)
def test_rule_fits_on_a_screen(name):
    """A rule has at most 30 lines."""
    assert len(JOBS[name].strip().splitlines()) < 30


def test_rules_and_scripts_are_paired():
    """Every script belongs to the rule of its name, and every job to its script."""
    assert {path.stem for path in SCRIPTS} == set(JOBS)


def test_sizes():
    """Files stay short enough to be read in one go."""
    assert too_long(RULE_FILES[:1], 60) == {}
    assert too_long(RULE_FILES[1:], 150) == {}
    assert too_long(SCRIPTS, 120) == {}
    assert too_long(MODULES, 400) == {}


def test_functions_are_short():
    """A function has at most 40 lines without its docstring."""
    long = {}
    for path in SCRIPTS + MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = node.end_lineno - body[0].lineno + 1 if body else 0
                if length > 40:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    assert long == {}


def test_lint_is_clean():
    """`snakemake --lint` has nothing to say."""
    linted = snakemake("--lint")
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_rules_are_formatted():
    """`snakefmt --check` would change nothing."""
    program = [sys.executable, "-m", "snakefmt", "--check", *map(str, RULE_FILES)]
    checked = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("config", CONFIGS)
def test_dry_run_resolves_without_torch(config, tmp_path):
    """Every target of a configuration has its rules, and parsing imports no heavy package."""
    planned = snakemake(
        *("-n", "--configfile", f"config/{config}", "--directory", tmp_path),
        python=("-X", "importtime"),
    )
    imported = set(re.findall(r"^import time:.*\| +(\S+)$", planned.stderr, re.M))
    said = planned.stdout + re.sub(r"^import time:.*\n", "", planned.stderr, flags=re.M)
    assert planned.returncode == 0, said
    assert "snakemake.workflow" in imported
    assert imported.isdisjoint({"torch", "timm", "captum", "skimage", "matplotlib"})
    assert re.search(r"^total +[1-9]\d", said, re.M)


def test_files_of_the_checkout_are_local():
    """No storage plugin looks for the files that come with the workflow in a bucket."""
    named = [line for path in RULE_FILES[1:] for line in path.read_text().splitlines()]
    named = [line for line in named if "workflow.basedir" in line and "read_text" not in line]
    assert len(named) >= 4
    assert all("local(" in line for line in named), named


@pytest.mark.parametrize("config", CONFIGS)
def test_jobs_can_be_grouped_on_a_cluster(config, tmp_path):
    """The Slurm profile knows every rule, and no job outside a group lies between two inside."""
    profile = yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())
    alone = {name for name in JOBS if re.search(r"\n        gpu=1,", JOBS[name])}
    heirs = re.findall(r"^use rule \w+ as (\w+)", "".join(map(Path.read_text, RULE_FILES)), re.M)
    grouped = set(profile["groups"])
    assert grouped | alone | {"fetch_dataset"} == {*JOBS, *heirs}
    assert set(profile["set-resources"]) <= set(JOBS)
    # Without the plugin its settings are unknown; Snakemake groups jobs for any executor.
    del profile["executor"]
    here = {key: value for key, value in profile.items() if not key.startswith("slurm-")}
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(here))
    planned = snakemake(
        *("-n", "--workflow-profile", tmp_path, "--configfile", f"config/{config}"),
        *("--directory", tmp_path / "study"),
    )
    assert planned.returncode == 0, planned.stdout + planned.stderr
    assert "group job" in planned.stdout.lower()


def test_single_objects_are_scored_where_there_are_any(tmp_path):
    """A data set with `instances` plans a table of the objects of every mask, another one none."""
    overlay = tmp_path / "study.yaml"
    for name, expected in (("nuinsseg", [13, 1]), ("kvasir-seg", [0, 0])):
        study = {"explainseg": {"datasets": [name]}, "segx": {"datasets": []}}
        overlay.write_text(yaml.safe_dump(study))
        asked = ("--configfile", overlay, "--directory", tmp_path / name)
        planned = snakemake("-n", "--quiet", "host", *asked).stdout
        rules = ("score_instances", "make_instances_table")
        assert [planned.count(f"rule {rule}:") for rule in rules] == expected, planned


@pytest.mark.parametrize(
    ("overlay", "key", "meant"),
    [
        ({"explainsegg": {}}, "explainsegg", "explainseg"),
        ({"statistics": {"resample": 10}}, "statistics.resample", "resamples"),
    ],
)
def test_misspelt_key_stops_the_run(overlay, key, meant, tmp_path):
    """A misspelt config key ends the run at once with one sentence that offers the right one."""
    file = tmp_path / "typo.yaml"
    file.write_text(yaml.safe_dump(overlay))
    stopped = snakemake("-n", "--configfile", file, "--directory", tmp_path / "run")
    said = stopped.stdout + stopped.stderr  # a dry run logs to stdout
    assert stopped.returncode != 0
    naming = [line for line in said.splitlines() if key in line]
    assert len(naming) == 1, said
    assert f"did you mean '{meant}'?" in naming[0]
    assert "Traceback" not in said


def test_no_large_files():
    """Nothing above 500 kB is tracked, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    files = [ROOT / name for name in listed.stdout.splitlines()]
    assert [file for file in files if file.is_file() and file.stat().st_size > 500_000] == []


def test_lock_names_no_host():
    """The lock is one file of names and hashes, so that any package index serves it."""
    for lock in ("requirements.lock", "envs/uv.txt", "envs/slurm.txt"):
        text = (ROOT / lock).read_text()
        assert "--hash=sha256:" in text
        assert re.search(r"://|index-url|find-links", text) is None
    assert not (ROOT / "uv.lock").exists()
