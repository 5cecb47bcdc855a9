"""The demo as an archive for reviewers."""

import json
import re
import zipfile
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.crates import issues
from tests.e2e.conftest import DEMO

pytestmark = pytest.mark.study


@pytest.fixture(scope="module")
def bundle(demo, run_study, house):
    """The demo's archive, which is one job more; the demo itself has nothing to do."""
    output = run_study(demo.parent, DEMO, root=house, targets=["bundle"])
    assert re.findall(r"^(\w+) +(\d+)$", output, re.M) == [("bundle", "1"), ("total", "1")]
    return demo / "exports/bundle.zip"


def test_bundle_is_a_provenance_run_crate(bundle, monkeypatch):
    """A validator of others finds all in it that such an archive must have."""
    assert issues(bundle, monkeypatch) == []


def test_bundle_holds_the_run(bundle, demo):
    """Results, receipts and the configuration are there, and every job with its times."""
    with zipfile.ZipFile(bundle) as packed:
        names = set(packed.namelist())
        graph = json.loads(packed.read("ro-crate-metadata.json"))["@graph"]
        settings = yaml.safe_load(packed.read("results/config.yaml"))
        page = packed.read("results/report.html")
    made = [*demo.glob("tables/*"), *demo.glob("figures/*"), *demo.glob("raw/*.json")]
    assert {f"results/{path.relative_to(demo)}" for path in made} <= names
    assert {"Snakefile", "requirements.lock", "rules/bundle.smk", "segxai/job/log.py"} <= names
    assert page == (demo / "report.html").read_bytes()
    assert settings == yaml.safe_load((demo / "config.yaml").read_text())
    measured = [*(demo.parent / "benchmarks").rglob("*.tsv")]
    kinds = Counter(str(entity["@type"]) for entity in graph)
    # All but the bundle itself, and the run as a whole.
    assert kinds["CreateAction"] == len(measured) - 1 + 1
    jobs = [entity for entity in graph if entity["@id"].startswith("#job/")]
    assert all(job["startTime"] <= job["endTime"] for job in jobs)
    given = {part["@id"] for job in jobs for part in listed(job.get("result", []))}
    assert {f"results/{path.relative_to(demo)}" for path in made} <= given


def listed(value) -> list:
    """Values of a property; a single value is not a list."""
    return value if isinstance(value, list) else [value]


def test_bundle_names_nobody_and_no_folder(bundle, demo, house):
    """No entry holds the folder of the run or of the code, and none names a person."""
    with zipfile.ZipFile(bundle) as packed:
        texts = {name: packed.read(name) for name in packed.namelist()}
    for folder in (demo.parent, house, Path.home()):
        assert [name for name, text in texts.items() if f"{folder}/".encode() in text] == []
    assert b'"Person"' not in texts["ro-crate-metadata.json"]


def test_bundle_is_made_again_byte_by_byte(bundle, demo, run_study, house):
    """The same run gives the same archive."""
    before = bundle.read_bytes()
    run_study(demo.parent, DEMO, root=house, options=["--forcerun", "bundle"], targets=["bundle"])
    assert bundle.read_bytes() == before
