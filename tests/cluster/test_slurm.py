"""A small study on a real Slurm: jobs are cancelled, the controller restarts, and it finishes.

Not part of `make test`: it needs slurm-wlm, munge and Snakemake's plugin, and takes a quarter of an
hour on two cores. By hand:

    apt-get install slurm-wlm munge && make slurm
    .venv/bin/python -m pytest tests/cluster
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cluster.slurm import Slurm, problem, running_slurm

OVERLAYS = ["config/overlays/demo.yaml", "tests/cluster/small.yaml"]
TARGETS = ["results/tables/explainseg_ablation.csv", "results/tables/segx_alignment.csv"]
# Seconds between Snakemake's checks of its jobs; the profile's 40 suit long ones.
HASTE = ["--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "5"]


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Slurm]:
    """Give a running cluster of one node; skip where it cannot be."""
    if reason := problem():
        pytest.skip(reason)
    if find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("Snakemake's Slurm plugin is not installed: make slurm")
    with running_slurm(tmp_path / "slurm") as slurm:
        yield slurm


def command(checkout: Path, folder: Path, *options: str) -> list[str]:
    """Build the call of Snakemake that runs the small study in a folder."""
    return [
        *(sys.executable, "-m", "snakemake", "--cores", "2"),
        *("--snakefile", str(checkout / "Snakefile"), "--directory", str(folder)),
        *("--configfile", *(str(checkout / overlay) for overlay in OVERLAYS)),
        *options,
        *("--", *TARGETS),
    ]


def wait_for(condition: Callable[[], bool], study: subprocess.Popen, minutes: float = 60) -> None:
    """Wait until the study has come that far; fail if it ends before."""
    end = time.monotonic() + 60 * minutes
    while not condition():
        assert study.poll() is None, "the study ended before its jobs could be disturbed"
        assert time.monotonic() < end
        time.sleep(1)


def running_jobs(slurm: Slurm) -> list[str]:
    """Slurm's numbers of the jobs that run now."""
    return slurm.run("squeue", "--noheader", "--states=RUNNING", "--format=%i").split()


def tables(folder: Path) -> dict[str, bytes]:
    """Every table of a study."""
    return {path.name: path.read_bytes() for path in (folder / "results/tables").glob("*.csv")}


def test_study_survives_cancelled_jobs_and_a_restarted_controller(slurm, checkout, tmp_path):
    """Two cancelled jobs and a controller that was away cost time, and no number."""
    folder, log_file = tmp_path / "cluster", tmp_path / "cluster.log"
    profile = ["--workflow-profile", str(checkout / "profiles/slurm"), *HASTE]
    with log_file.open("w") as log:
        study = subprocess.Popen(
            command(checkout, folder, *profile),
            cwd=checkout,
            env=slurm.environment,
            stdout=log,
            stderr=log,
        )
        try:
            cancelled = []
            for receipt in ("raw/phantom-lesions.json", "models/phantom-findings"):
                wait_for((folder / "results" / receipt).exists, study)
                wait_for(lambda: bool(running_jobs(slurm)), study)
                cancelled.append(running_jobs(slurm)[0])
                slurm.run("scancel", cancelled[-1])
            wait_for((folder / "results/maps").exists, study)
            slurm.stop_controller()
            time.sleep(5)
            slurm.start_controller()
            assert study.wait(timeout=3600) == 0, log_file.read_text()[-8000:]
        finally:
            study.kill()

    submitted = re.findall(r"SLURM jobid (\d+)", log_file.read_text())
    finished = (slurm.folder / "jobs.txt").read_text()
    print(finished)
    assert all(f"JobId={job} " in finished for job in submitted)
    for job in cancelled:
        assert re.search(rf"^JobId={job} .*JobState=CANCELLED", finished, re.M)
    # Groups: far fewer submissions than jobs.
    assert 10 < len(submitted) < 20

    local = tmp_path / "local"
    subprocess.run(command(checkout, local, "--resources", "gpu=2"), cwd=checkout, check=True)
    assert len(tables(local)) == 4
    assert tables(folder) == tables(local)
