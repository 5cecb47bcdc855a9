"""Bundle of a run for reviewers: an RO-Crate of its code, settings, receipts and results."""

import json
import shutil
import tempfile
from pathlib import Path

from segxai.exports.crate import CONFIG, archive_folder, describe, read_jobs
from segxai.job.files import atomic_path, read_facts
from segxai.job.log import InputError, log, run
from segxai.workflow.digest import ROOT
from segxai.workflow.provenance import commit
from segxai.workflow.results import without_folders

STUDY = {
    "name": "segxai",
    "description": "A run of segxai: explanations and segmentation in medical images.",
}
# Code files in the archive's index; the rest lies in these folders.
CODE = {
    "config/": "Definitions of the studies, the data sets and the networks",
    "envs/": "Packages of each group of rules",
    "rules/": "Rules of the workflow",
    "scripts/": "Scripts of the rules",
    "segxai/": "Library of the scripts",
    "CITATION.cff": "How to cite segxai",
    "LICENSE": "MIT licence",
    "README.md": "Introduction to segxai",
    "requirements.lock": "Versions and checksums of all Python packages",
}


def main(
    sources, receipts, tables, tests, claims, figures, page, steps, configuration, datasets, titles,
    facts, archive,
):  # fmt: skip
    jobs = read_jobs(steps, Path("benchmarks"))
    if not jobs:
        raise InputError(
            "benchmarks: holds no measurement of a job of this run, by which the bundle says what "
            "ran when; restore the folder, or run the study again in an empty one."
        )
    made = [*tables, *tests, claims, *figures, page]
    files = CODE | {CONFIG: "Configuration of the run, with every default"}
    files |= {str(file): f"Receipt of {Path(file).stem}" for file in receipts}
    results = {str(file): titles.get(Path(file).stem, Path(file).name) for file in made}
    if lost := results.keys() - {name for job in jobs for name in job.outputs}:
        log.warning(
            "%d results (%s, …) have no file in benchmarks: the bundle cannot say when they were "
            "made",
            len(lost),
            min(lost),
        )
    known = {
        name: dataset | {"receipt": str(receipt)}
        for (name, dataset), receipt in zip(datasets.items(), receipts, strict=True)
    }
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for file in sources:
            copy(file, folder / Path(file).relative_to(ROOT))
        for file in made:
            copy(file, folder / file)
        for file in receipts:
            receipt = json.dumps(without_folders(read_facts(file)), ensure_ascii=False, indent=2)
            write(receipt + "\n", folder / file)
        write(configuration, folder / CONFIG)
        version = {"version": commit() or "unknown"}
        describe(folder, files, results, steps, jobs, known, STUDY | facts | version)
        with atomic_path(archive) as path:
            archive_folder(folder, path)
            size = path.stat().st_size
    log.info("%d jobs, %d results, %.1f MB", len(jobs), len(made), size / 1e6)


def copy(source, target):
    """Copy a file; create its folder if necessary."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def write(text, target):
    """Write a text; create its folder if necessary."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main, snakemake)
