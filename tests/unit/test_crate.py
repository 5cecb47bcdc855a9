"""Bundle of a run: its index agrees with the files, and a validator accepts it."""

import json
import os
from datetime import datetime

import pytest

from segxai.exports.crate import CONFIG, archive_folder, describe, read_jobs
from segxai.workflow.results import downloads, without_folders
from tests.crates import issues

STEPS = {
    "make_table": {
        "script": "scripts/make_table.py",
        "about": "A table.",
        "benchmark": "benchmarks/make_table/{table}.tsv",
        "output": ["results/tables/{table}.csv", "results/tables/{table}_tests.csv"],
    },
    "draw": {
        "script": "scripts/draw.py",
        "about": "A figure.",
        "benchmark": "benchmarks/draw/{path}/seed-{seed}.tsv",
        "output": ["results/figures/{path,a/b|c}-{seed,[0-9]+}.png"],
    },
    "explain": {
        "script": "scripts/explain.py",
        "about": "Never ran.",
        "benchmark": "benchmarks/explain/{shard}.tsv",
        "output": ["results/maps/{shard}.npy"],
    },
}
FILES = {
    "LICENSE": "Licence",
    CONFIG: "Configuration",
    "results/raw/toy.json": "Receipt",
    "scripts/": "Scripts",
}
RESULTS = {"results/tables/first.csv": "First table", "results/figures/a/b-1.png": "Figure"}
URL = "https://example.org/data/toy.zip"
DATASETS = {
    "toy": {
        "title": "Toy",
        "licence": "CC BY 4.0",
        "citation": "Nobody, 2020",
        "receipt": "results/raw/toy.json",
        "downloads": {URL: {"contentSize": "12", "identifier": [f"sha256:{'ab' * 32}"]}},
    },
    "phantom": {
        "title": "Phantoms",
        "licence": "MIT",
        "citation": "",
        "receipt": "results/raw/toy.json",
        "downloads": {},
    },
}
FACTS = {"name": "study", "description": "A study.", "version": "v1", "snakemake": "9.0"}
NOBODY = {"agent": None, "orcid": None}
AGENT = {"agent": "Ada Lovelace", "orcid": "https://orcid.org/0000-0002-1825-0097"}


@pytest.fixture
def ended(tmp_path):
    """A folder with the files of a run of two jobs, and what is read of its benchmarks."""
    files = [name for name in FILES | RESULTS if not name.endswith("/")]
    for name in [*files, "Snakefile", "scripts/make_table.py", "scripts/draw.py"]:
        (tmp_path / "crate" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "crate" / name).write_text(name)
    for name, seconds, end in [("make_table/first", 2.5, 1000), ("draw/a/b/seed-1", 10, 1020)]:
        file = tmp_path / f"benchmarks/{name}.tsv"
        file.parent.mkdir(parents=True)
        file.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:02\t10\n")
        os.utime(file, (end, end))
    return tmp_path / "crate", read_jobs(STEPS, tmp_path / "benchmarks")


def test_jobs_are_those_that_ended(ended):
    """A job starts its seconds before its benchmark is written, and made its rule's outputs."""
    _, (table, figure) = ended
    assert (table.rule, table.name) == ("make_table", "make_table/first")
    times = [datetime.fromisoformat(time).timestamp() for time in (figure.start, figure.end)]
    assert times == [1010, 1020]
    assert table.outputs == ["results/tables/first.csv", "results/tables/first_tests.csv"]
    assert figure.outputs == ["results/figures/a/b-1.png"]


def entities(folder) -> dict[str, dict]:
    """Entities of a crate by their identifiers."""
    graph = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    assert len({entity["@id"] for entity in graph}) == len(graph)
    return {entity["@id"]: entity for entity in graph}


@pytest.mark.parametrize("agent", [NOBODY, AGENT], ids=["nobody", "agent"])
def test_crate_is_valid(ended, tmp_path, agent, monkeypatch):
    """The archive is a Provenance Run Crate, with a name of who ran it or without."""
    folder, jobs = ended
    describe(folder, FILES, RESULTS, STEPS, jobs, DATASETS, FACTS | agent)
    archive_folder(folder, tmp_path / "run.zip")
    assert issues(tmp_path / "run.zip", monkeypatch) == []


def test_validator_detects_missing_entries(ended, tmp_path, monkeypatch):
    """Without the link from the archive to its workflow the validator objects."""
    folder, jobs = ended
    describe(folder, FILES, RESULTS, STEPS, jobs, DATASETS, FACTS | NOBODY)
    index = folder / "ro-crate-metadata.json"
    index.write_text(index.read_text().replace('"mainEntity"', '"about"'))
    assert issues(folder, monkeypatch)


def test_index_agrees_with_the_run(ended):
    """Results hang on the jobs that made them, data sets on their licence, download and receipt."""
    folder, jobs = ended
    describe(folder, FILES, RESULTS, STEPS, jobs, DATASETS, FACTS | AGENT)
    known = entities(folder)
    made = {name: known[f"#job/{name}"] for name in ("make_table/first", "draw/a/b/seed-1")}
    assert [job["result"]["@id"] for job in made.values()] == list(RESULTS)
    assert {job["agent"]["@id"] for job in made.values()} == {AGENT["orcid"]}
    assert known["#run"]["startTime"] == jobs[0].start
    assert known["#run"]["endTime"] == known["./"]["datePublished"] == jobs[1].end
    assert [part["@id"] for part in known["#run"]["result"]] == list(RESULTS)
    # A rule that never ran is not a step.
    assert [step["@id"] for step in known["Snakefile"]["step"]] == [
        "#step-make_table",
        "#step-draw",
    ]
    toy = known["#dataset-toy"]
    assert known[toy["license"]["@id"]]["name"] == "CC BY 4.0"
    assert known[toy["distribution"]["@id"]]["identifier"] == f"sha256:{'ab' * 32}"
    assert toy["subjectOf"] == {"@id": "results/raw/toy.json"}


def test_archive_depends_on_contents_alone(ended, tmp_path):
    """Files of another age, mode and order of creation give the same bytes."""
    folder, jobs = ended
    describe(folder, FILES, RESULTS, STEPS, jobs, DATASETS, FACTS | NOBODY)
    archive_folder(folder, tmp_path / "first.zip")
    other = tmp_path / "other"
    for file in sorted(folder.rglob("*"), reverse=True):
        if file.is_file():
            copied = other / file.relative_to(folder)
            copied.parent.mkdir(parents=True, exist_ok=True)
            copied.write_bytes(file.read_bytes())
            copied.chmod(0o600)
    archive_folder(other, tmp_path / "second.zip")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_folders_of_people_are_cut():
    """Absolute paths, wherever they stand, keep their last name; all else stays."""
    own = {"path": "/home/ada/data/kvasir", "url": "https://example.org/a", "size": 3, "none": None}
    cut = own | {"path": "kvasir"}
    assert without_folders({"datasets": [own, {"a": own}], "weights": "models/a.pth"}) == {
        "datasets": [cut, {"a": cut}],
        "weights": "models/a.pth",
    }


def test_every_form_of_source_has_its_downloads():
    """One archive, several files, a bucket with files beside it, and a generator with none."""
    file = {"name": "a.csv", "url": "https://example.org/a.csv", "bytes": 3, "md5": "0" * 32}
    known = {file["url"]: {"contentSize": "3", "identifier": [f"md5:{'0' * 32}"]}}
    bucket = {"https://bucket.example.org": {"contentSize": "", "identifier": []}}
    archive = DATASETS["toy"]["downloads"]
    assert downloads({"url": URL, "bytes": 12, "sha256": "ab" * 32}) == archive
    assert downloads({"files": [file]}) == known
    assert downloads({"bucket": next(iter(bucket)), "files": [file]}) == known | bucket
    assert downloads({"images": 480, "seed": 0}) == {}
