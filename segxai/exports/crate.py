"""A run as a Provenance Run Crate (RO-Crate 1.1, w3id.org/ro/wfrun/provenance)."""

import re
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from mimetypes import MimeTypes
from os import PathLike
from pathlib import Path

import pandas as pd
from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
WILDCARD = r"\{(\w+)[^}]*\}"
CONFIG = "results/config.yaml"
ENGINE = "https://snakemake.github.io"
# Date of every file in the archive, so that one run gives the same bytes at any time.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
TYPES = MimeTypes()
TYPES.add_type("text/markdown", ".md")
TYPES.add_type("application/yaml", ".yaml")


@dataclass(frozen=True)
class Job:
    """A finished job of a run."""

    rule: str
    name: str  # its rule and wildcards
    start: str  # ISO 8601
    end: str
    outputs: list[str]


def read_jobs(steps: dict[str, dict], benchmarks: Path) -> list[Job]:
    """Read the jobs of a run from Snakemake's benchmark files, in the order of their ends.

    Snakemake writes a benchmark file when its job ends; it holds the duration in seconds.

    Parameters
    ----------
    steps
        By rule: `benchmark` and `output`, its patterns of file names.
    benchmarks
        Their folder.
    """
    jobs = []
    for rule, step in steps.items():
        # Literal text and names of wildcards take turns.
        parts = re.split(WILDCARD, step["benchmark"])
        pattern = "".join(
            f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts)
        )
        for file in sorted(benchmarks.rglob("*.tsv")):
            name = file.relative_to(benchmarks.parent).as_posix()
            if match := re.fullmatch(pattern, name):
                end = file.stat().st_mtime
                outputs = [
                    re.sub(WILDCARD, lambda wildcard, match=match: match[wildcard[1]], output)
                    for output in step["output"]
                ]
                start = end - pd.read_csv(file, sep="\t").s[0]
                shown = file.relative_to(benchmarks).with_suffix("").as_posix()
                jobs.append(Job(rule, shown, iso(start), iso(end), outputs))
    return sorted(jobs, key=lambda job: (job.end, job.name))


def iso(seconds: float) -> str:
    """Write a time as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def describe(
    folder: Path,
    files: dict[str, str],
    results: dict[str, str],
    steps: dict[str, dict],
    jobs: list[Job],
    datasets: dict[str, dict],
    facts: dict[str, str],
) -> None:
    """Write ``ro-crate-metadata.json`` of a folder that holds the files of a run.

    Parameters
    ----------
    folder
        The files: the workflow in ``Snakefile``, the licence in ``LICENSE``, the configuration in
        ``results/config.yaml``.
    files, results
        Description of each file that the crate names, by its path: of the code and of the run. The
        path of a folder ends with ``/``.
    steps
        By rule: `script` (its file), `about` (what it does), and what :func:`read_jobs` takes.
    jobs
        Finished jobs, at least one.
    datasets
        By name: `title`, `licence`, `citation`, `receipt` (its file), and `downloads`: the facts
        about each file that was downloaded, by its URL.
    facts
        `name`, `description` and `version` of the study; `snakemake`, the version of Snakemake; and
        who ran it: `agent`, a name, and `orcid`; both None if nobody is named.
    """
    crate = ROCrate(version="1.1")
    crate.name, crate.description = facts["name"], facts["description"]
    crate.datePublished = max(job.end for job in jobs)
    for name, title in (files | results).items():
        _add_file(crate, folder, name, title)
    crate.license = crate.get("LICENSE")
    crate.root_dataset["conformsTo"] = [
        _add(crate, url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for url, name in PROFILES.items()
    ]
    if facts["agent"]:
        crate.creator = _add(crate, facts["orcid"] or "#agent", "Person", name=facts["agent"])
    known = [_add_dataset(crate, name, dataset) for name, dataset in datasets.items()]
    _add_steps(crate, folder, steps, jobs, facts)
    _add_run(crate, [crate.get(CONFIG), *known], results, jobs, facts)
    crate.metadata.write(folder)


def _add(crate: ROCrate, name: str, kind: str, /, **properties) -> ContextEntity:
    """Add an entity of this `@id` and `@type` that is not a file of the crate.

    Properties without a value are left out; a list of one entry becomes the entry (JSON-LD).
    """
    given = {
        key: value[0] if isinstance(value, list) and len(value) == 1 else value
        for key, value in properties.items()
        if value
    }
    return crate.add(ContextEntity(crate, name, {"@type": kind, **given}))


def _add_file(crate: ROCrate, folder: Path, name: str, title: str, **more) -> None:
    """Add a file or folder with its description."""
    if name.endswith("/"):
        crate.add_directory(folder / name, name, properties={"name": title})
    else:
        kind = TYPES.guess_type(name)[0] or "text/plain"
        known = {"name": title, "encodingFormat": kind, **more}
        crate.add_file(folder / name, name, properties=known)


def _add_dataset(crate: ROCrate, name: str, dataset: dict) -> ContextEntity:
    """Add a data set that is not in the crate: where it is, its licence and its receipt."""
    licence = _add(crate, f"#licence-{name}", "CreativeWork", name=dataset["licence"])
    downloads = [
        _add(crate, url, "DataDownload", name=url.rpartition("/")[2], contentUrl=url, **known)
        for url, known in dataset["downloads"].items()
    ]
    return _add(
        crate, f"#dataset-{name}", "Dataset", name=dataset["title"], citation=dataset["citation"],
        license=licence, distribution=downloads, subjectOf=crate.get(dataset["receipt"]),
    )  # fmt: skip


def _add_steps(
    crate: ROCrate, folder: Path, steps: dict[str, dict], jobs: list[Job], facts: dict
) -> None:
    """Add the workflow, its steps, one for each rule that ran, and their scripts."""
    version = {"version": facts["version"]}
    kinds = ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]
    workflow = crate.add_workflow(
        folder / "Snakefile", "Snakefile", main=True, lang="snakemake",
        lang_version=facts["snakemake"],
        properties={"@type": kinds, "name": facts["name"], **version},
    )  # fmt: skip
    workflow["license"] = crate.license
    # In the order of their first jobs.
    for position, rule in enumerate(dict.fromkeys(job.rule for job in jobs), 1):
        script = steps[rule]["script"]
        if script not in crate:
            kind = {"@type": ["File", "SoftwareSourceCode"]}
            _add_file(crate, folder, script, Path(script).stem, **kind, **version)
            workflow.append_to("hasPart", crate.get(script))
        step = _add(
            crate, f"#step-{rule}", "HowToStep", name=rule, description=steps[rule]["about"],
            position=position, workExample=crate.get(script),
        )  # fmt: skip
        workflow.append_to("step", step)


def _add_run(
    crate: ROCrate, read: list, results: dict[str, str], jobs: list[Job], facts: dict
) -> None:
    """Add the actions: the run of the workflow, each of its jobs, and Snakemake's part."""
    done = {"agent": crate.creator, "actionStatus": "http://schema.org/CompletedActionStatus"}
    whole = done | {
        "startTime": min(job.start for job in jobs),
        "endTime": max(job.end for job in jobs),
    }
    run = _add(
        crate, "#run", "CreateAction", name=f"Run of {facts['name']}", instrument=crate.mainEntity,
        description=facts["description"], object=read, result=list(map(crate.get, results)),
        **whole,
    )  # fmt: skip
    controls = []
    for job in jobs:
        step = crate.get(f"#step-{job.rule}")
        action = _add(
            crate, f"#job/{job.name}", "CreateAction", name=job.name, startTime=job.start,
            endTime=job.end, description=step["description"], instrument=step["workExample"],
            result=[crate.get(name) for name in job.outputs if name in crate], **done,
        )  # fmt: skip
        name = f"#control/{job.name}"
        controls.append(
            _add(crate, name, "ControlAction", name=job.name, instrument=step, object=action)
        )
        crate.root_dataset.append_to("mentions", action)
    crate.root_dataset.append_to("mentions", run)
    engine = _add(
        crate, ENGINE, "SoftwareApplication", name="Snakemake", version=facts["snakemake"],
        url=ENGINE,
    )  # fmt: skip
    _add(
        crate, "#orchestration", "OrganizeAction", name=f"Snakemake's run of {facts['name']}",
        instrument=engine, object=controls, result=run, **whole,
    )  # fmt: skip


def archive_folder(folder: Path, path: str | PathLike) -> None:
    """Pack a folder into a zip file whose bytes depend on names and contents only."""
    with zipfile.ZipFile(path, "w") as packed:
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            if file.is_dir():
                packed.writestr(zipfile.ZipInfo(f"{name}/", ZIP_TIME), b"")
                continue
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, file.read_bytes())
