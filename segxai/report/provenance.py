"""Where numbers come from: the source, the environment and the cost of the jobs."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from segxai.workflow import ROOT

PACKAGES = ["numpy", "scipy", "pandas", "scikit-image", "pydensecrf2", "torch", "timm", "captum"]


def commit(root: Path = ROOT) -> str | None:
    """Version of the source as git describes it, or None where there is no commit."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        said = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def versions() -> dict[str, str]:
    """Versions of Python and of those packages that this environment has."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            # With conda a job's environment holds only what its stage needs.
            continue
    return found


def read_benchmarks(folder: Path) -> pd.DataFrame:
    """Read Snakemake's benchmarks: one row per job, its stage beside what was measured."""
    jobs = [
        pd.read_csv(path, sep="\t", na_values="-").assign(
            stage=path.relative_to(folder).parts[0].removesuffix(".tsv")
        )
        for path in sorted(folder.rglob("*.tsv"))
    ]
    return pd.concat(jobs) if jobs else pd.DataFrame(columns=["stage", "s", "max_rss"])
