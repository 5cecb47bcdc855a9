"""Where numbers come from: the source, the environment, the machine and the cost of the jobs."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd

from segxai.workflow.digest import ROOT

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


def hardware() -> str:
    """Processor, cores and memory of this machine, as far as it tells."""
    name = platform.processor() or platform.machine()
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(text.partition(":")[2].strip() for text in told if "model name" in text)
        pages, size = (os.sysconf(key) for key in ("SC_PHYS_PAGES", "SC_PAGE_SIZE"))
        memory = f", {pages * size / 2**30:.0f} GiB of memory"
    except (OSError, StopIteration, ValueError):
        memory = ""
    return f"{name}, {os.cpu_count()} cores{memory}"


def read_benchmarks(folder: Path) -> pd.DataFrame:
    """Read Snakemake's benchmarks.

    Returns
    -------
    DataFrame
        One row per job: stage, dataset (what its benchmark is named after next: of jobs for one
        data set that one), and what was measured.
    """
    jobs = []
    for path in sorted(folder.rglob("*.tsv")):
        stage, *rest = path.relative_to(folder).with_suffix("").parts
        measured = pd.read_csv(path, sep="\t", na_values="-")
        jobs.append(measured.assign(stage=stage, dataset=rest[0] if rest else ""))
    columns = ["stage", "dataset", "s", "max_rss"]
    return pd.concat(jobs) if jobs else pd.DataFrame(columns=columns)
