"""The house rules: what every rule declares, what parses, and what is only advice."""

import ast
import os
import re
import shutil
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.planning import ROOT, snakemake

RULE_FILES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
SCRIPTS = sorted((ROOT / "scripts").glob("*.py"))
MODULES = sorted((ROOT / "segxai").rglob("*.py"))
CONFIGS = {"full": [], "demo": ["--configfile", "config/overlays/demo.yaml"]}


def read_rules() -> dict[str, str]:
    """Text of each rule by name, as snakefmt lays it out; an heir's has that of its base too."""
    rules = {}
    for path in RULE_FILES:
        opened = r"^(?:use )?rule (?:(\w+) as )?(\w+)(?: with)?:\n((?:    .*\n|\n)+)"
        for base, name, text in re.findall(opened, path.read_text(), re.M):
            rules[name] = text + rules.get(base, "")
    return rules


RULES = read_rules()
# The others only collect files.
JOBS = {name: text for name, text in RULES.items() if "\n    script:" in text}


@pytest.mark.parametrize("name", RULES)
def test_rule_is_documented(name):
    """Every rule opens with a docstring."""
    assert '    """' in RULES[name]


@pytest.mark.parametrize("name", JOBS)
def test_job_declares_what_it_needs(name):
    """A job has a log, a benchmark and an environment; its digest is that of its own script."""
    text = JOBS[name]
    assert re.search(rf'log:\n        "logs/{name}(/.+)?\.log"', text)
    assert re.search(rf'benchmark:\n        "benchmarks/{name}(/.+)?\.tsv"', text)
    (env,) = re.findall(r'env\("(\w+)"\)', text)
    assert (ROOT / f"envs/{env}.yaml").is_file()
    (script,) = re.findall(r'"\.\./scripts/(\w+)\.py"', text)
    assert re.findall(r'code=\w+\(\s*"(\w+)"', text) == [script]
    assert (ROOT / "scripts" / f"{script}.py").is_file()


def test_every_script_is_run():
    """No script is left without a rule."""
    run = {name for text in JOBS.values() for name in re.findall(r"scripts/(\w+)\.py", text)}
    assert {path.stem for path in SCRIPTS} == run


def longer(paths: list[Path], limit: int) -> dict[str, int]:
    """Files with more lines than `limit`."""
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    return {name: length for name, length in lengths.items() if length > limit}


def long_functions(limit: int) -> dict[str, int]:
    """Functions with more lines than `limit`, docstrings left out."""
    long = {}
    for path in SCRIPTS + MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                length = node.end_lineno - body[0].lineno + 1 if body else 0
                if length > limit:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = length
    return long


def test_sizes_are_advice():
    """Long files and functions are named in a warning: they may be right, but are worth a look."""
    files = longer(RULE_FILES, 250) | longer(SCRIPTS, 150) | longer(MODULES, 400)
    if long := files | long_functions(40):
        warnings.warn(f"longer than usual: {long}", stacklevel=1)


def test_lint_is_clean():
    """`snakemake --lint` has no advice."""
    linted = snakemake("--lint")
    assert linted.returncode == 0, linted.stdout


def test_rules_are_formatted():
    """`snakefmt --check` would change nothing."""
    program = [sys.executable, "-m", "snakefmt", "--check", *map(str, RULE_FILES)]
    checked = subprocess.run(program, cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


@cache
def slurm_profile() -> dict:
    """Profile for clusters."""
    return yaml.safe_load((ROOT / "profiles/slurm/profile.yaml").read_text())


@pytest.mark.parametrize("overlay", CONFIGS.values(), ids=CONFIGS)
def test_study_is_planned_in_groups(overlay, tmp_path):
    """Every target has its rules, no heavy package is imported, and groups have no holes.

    Snakemake refuses groups with a job outside between two inside.
    """
    # Without the plugin its settings are unknown; Snakemake groups jobs for any executor.
    settings = {key: value for key, value in slurm_profile().items() if "slurm" not in key}
    del settings["executor"]
    (tmp_path / "profile.yaml").write_text(yaml.safe_dump(settings))
    folders = ("--workflow-profile", tmp_path, "--directory", tmp_path / "study")
    planned = snakemake("-n", *folders, *overlay)
    assert planned.returncode == 0, planned.stdout
    assert re.search(r"^total +[1-9]\d", planned.stdout, re.M)
    assert "group job" in planned.stdout.lower()


@pytest.mark.parametrize(("mode", "times"), [("default", 1), ("subprocess", 0)])
def test_what_is_left_out_is_said_once(mode, times, tmp_path):
    """In a plan too, but not again by the processes of jobs."""
    (tmp_path / "run.yaml").write_text("run: [explainers]")
    folders = ("--directory", tmp_path, "--configfile", tmp_path / "run.yaml")
    planned = snakemake("-n", "--mode", mode, *folders, "--", "results/raw/ham10000.json")
    assert planned.returncode == 0, planned.stdout
    assert planned.stdout.count("gradcam does not suit vit-small") == times


def test_slurm_profile_covers_every_rule():
    """A job is in a group, or alone because it takes a GPU or the network for long."""
    alone = {name for name in JOBS if re.search(r"\n        gpu=1,", JOBS[name])}
    grouped = set(slurm_profile()["groups"])
    assert grouped <= set(JOBS)
    assert grouped | alone | {"fetch_dataset"} == set(JOBS)
    assert set(slurm_profile()["set-resources"]) <= set(JOBS)
    assert set(slurm_profile()["group-components"]) == set(slurm_profile()["groups"].values())


def test_planning_imports_the_standard_library_alone():
    """What the rules import of segxai is there where no package is installed."""
    names = [f"segxai.workflow.{path.stem}" for path in ROOT.glob("segxai/workflow/[a-z]*.py")]
    code = f"import sys; sys.path.append({str(ROOT)!r}); import {', '.join(names)}"
    program = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    text = "\n".join(map(Path.read_text, RULE_FILES))
    assert set(re.findall(r"^(?:from|import) (segxai\S*)", text, re.M)) <= {
        "segxai.workflow",
        *names,
    }


def test_files_of_the_checkout_are_local():
    """No storage plugin looks for the files that come with the workflow in a bucket."""
    named = [line for path in RULE_FILES[1:] for line in path.read_text().splitlines()]
    named = [line for line in named if re.search(r"basedir\}/(?!envs)|Path\(workflow", line)]
    assert len(named) >= 4
    # Planning itself reads these texts; they are not files of a job.
    assert all("local(" in line or "read_text(" in line for line in named), named


def planned_in(checkout: Path, **variables) -> str:
    """Plan the demo in a copy of the checkout; return what is printed."""
    for part in ("config", "envs", "profiles", "report", "rules", "scripts", "segxai"):
        shutil.copytree(ROOT / part, checkout / part)
    shutil.copy(ROOT / "Snakefile", checkout)
    program = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules"]
    program += ["--snakefile", checkout / "Snakefile", "--directory", checkout / "run {y}"]
    program += ["--configfile", ROOT / "config/overlays/demo.yaml"]
    done = subprocess.run(program, cwd=ROOT, env=os.environ | variables, capture_output=True)
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("name", ["{} {a b}", "Größe #1 'q' %s"])
def test_a_checkout_is_planned_wherever_it_lies(tmp_path, name):
    """Braces, quotes, spaces and letters in the paths of checkout and run are names like others."""
    assert re.search(r"^total +[1-9]\d", planned_in(tmp_path / name), re.M)


@pytest.mark.skipif(not shutil.which("localedef"), reason="no localedef to make a locale")
def test_paths_that_cannot_be_are_named(tmp_path):
    """A wildcard in the checkout's path, or letters that the locale lacks: one sentence each."""
    locale = "de_DE.ISO-8859-1"
    subprocess.run(["localedef", "-f", "ISO-8859-1", "-i", "de_DE", tmp_path / locale])
    output = planned_in(tmp_path / "Größe", LOCPATH=str(tmp_path), LC_ALL=locale, PYTHONUTF8="0")
    assert "set PYTHONUTF8=1" in output and "Traceback" not in output
    output = planned_in(tmp_path / "a {x}")
    assert "a {x}: Snakemake takes" in output and "Traceback" not in output


LARGE = """
run: [large]
explainers:
{explainers}
studies:
  large:
    title: Many of everything
    datasets: {datasets}
    networks: [vit-small-dino, resnet50, densenet121]
    explainers: {names}
    targets: label
    images: 128
    segmenters: [unet]
    segmentation: unet
    scores:
      localisation:
        of: maps
        measure:
          - metric: [iou_at, auitc, auitc_quantile, relevance_mass, top_mass]
            view: [relevance, smoothed]
            reference: truth
      sizes:
        of: maps
        measure:
          - {{metric: [iou_ceiling, iou_ceiling_sparse, reference_fraction], reference: truth}}
          - {{metric: mask_fraction}}
      confidence:
        of: maps
        measure:
          - {{metric: [probability, maximum_probability, entropy]}}
    tables:
      large:
        title: Many of everything
        scores: [localisation, sizes, confidence]
        rows: [network, explainer]
        splits: [all]
        unit: fraction
        values:
          - {{metric: [iou_at, auitc, relevance_mass], view: relevance, reference: truth}}
    figures: {{}}
"""


def test_large_study_is_planned_soon(tmp_path):
    """Seven data sets × three networks × 16 explainers × 12 metrics: at most 30 s."""
    names = [f"explainer-{k}" for k in range(16)]
    entry = "  {}: {{method: integrated_gradients, steps: {}, title: '{}'}}".format
    entries = "\n".join(entry(name, k + 1, name) for k, name in enumerate(names))
    overlay = tmp_path / "large.yaml"
    datasets = sorted(path.stem for path in ROOT.glob("config/datasets/*.yaml"))
    overlay.write_text(LARGE.format(explainers=entries, names=names, datasets=datasets))
    folder = tmp_path / "study"
    planned = snakemake(*("-n", "--quiet", "rules"), "--configfile", overlay, "--directory", folder)
    assert planned.returncode == 0, planned.stdout
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", planned.stdout, re.M))
    assert (jobs["gather_maps"], jobs["score_maps"]) == ("336", "1008")
    assert planned.seconds < 30


def test_full_study_is_planned_at_once(tmp_path):
    """`snakemake -n` of the full study: 3 s on a quiet machine, at most 10 s here."""
    planned = snakemake("-n", "--quiet", "rules", "--directory", tmp_path)
    assert planned.returncode == 0, planned.stdout
    assert planned.seconds < 10


@pytest.mark.parametrize(
    ("overlay", "key", "meant"),
    [
        ({"studiez": {}}, "studiez", "studies"),
        ({"statistics": {"resample": 10}}, "statistics.resample", "resamples"),
    ],
)
def test_misspelt_key_stops_the_run(overlay, key, meant, tmp_path):
    """A misspelt config key ends the run at once with one sentence that offers the right one."""
    file = tmp_path / "typo.yaml"
    file.write_text(yaml.safe_dump(overlay))
    stopped = snakemake("-n", "--configfile", file, "--directory", tmp_path / "run")
    assert stopped.returncode != 0
    naming = [line for line in stopped.stdout.splitlines() if key in line]
    assert len(naming) == 1, stopped.stdout
    assert f"did you mean '{meant}'?" in naming[0]
    assert "Traceback" not in stopped.stdout


@pytest.mark.parametrize("mark", [None, "layout: 1\n"])
def test_results_of_another_layout_are_refused(mark, tmp_path):
    """Results of an older version are refused in one sentence, and stay as they are."""
    table = tmp_path / "results/tables/table1.csv"
    table.parent.mkdir(parents=True)
    table.write_text("mine")
    if mark:
        (tmp_path / "results/config.yaml").write_text(mark)
    before = sorted(tmp_path.rglob("*"))
    stopped = snakemake("-n", "--directory", tmp_path)
    assert stopped.returncode != 0
    (sentence,) = (line for line in stopped.stdout.splitlines() if "another layout" in line)
    assert "results/tables" in sentence and "--directory" in sentence
    assert "Traceback" not in stopped.stdout
    assert table.read_text() == "mine"
    left = [path for path in sorted(tmp_path.rglob("*")) if ".snakemake" not in path.parts]
    assert left == before


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
