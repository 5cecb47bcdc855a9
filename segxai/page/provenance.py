"""Provenance of a run: the environment, and the cost of the jobs."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

PACKAGES = ["numpy", "scipy", "pandas", "scikit-image", "pydensecrf2", "torch", "timm", "captum"]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages in this environment."""
    installed = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            # With conda, a job's environment holds only the packages of its stage.
            continue
    return installed


def read_benchmarks(folder: Path) -> pd.DataFrame:
    """Read Snakemake's benchmarks.

    Returns
    -------
    DataFrame
        One row per job: stage, dataset (the second part of its benchmark's name: the data set of
        jobs for one), and the measurements.
    """
    jobs = []
    for path in sorted(folder.rglob("*.tsv")):
        stage, *rest = path.relative_to(folder).with_suffix("").parts
        measured = pd.read_csv(path, sep="\t", na_values="-")
        jobs.append(measured.assign(stage=stage, dataset=rest[0] if rest else ""))
    columns = ["stage", "dataset", "s", "max_rss"]
    return pd.concat(jobs) if jobs else pd.DataFrame(columns=columns)
