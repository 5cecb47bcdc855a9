"""Running the study as a user does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

OVERLAYS = ("config/demo.yaml", "tests/e2e/reduced.yaml")
TARGETS = ["results/tables/claims.csv", "results/tables/explainseg_instances.csv"]


@pytest.fixture(scope="session")
def run_study(checkout: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Return a function that runs the study in a folder and checks its exit status."""

    def run(folder, *overlays, cores=2, targets=(), fails=False, cwd=checkout, **variables):
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores)]
        command += ["--resources", "gpu=4"]
        command += ["--snakefile", str(checkout / "Snakefile"), "--directory", str(folder)]
        command += ["--configfile", *(str(checkout / overlay) for overlay in overlays)]
        done = subprocess.run(
            [*command, "--", *targets],
            cwd=cwd,
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout[-8000:]
        return done

    return run


@pytest.fixture(scope="session")
def demo(run_study, tmp_path_factory) -> Path:
    """Run the demo once and return its results."""
    folder = tmp_path_factory.mktemp("demo")
    run_study(folder, "config/demo.yaml")
    return folder / "results"


@pytest.fixture(scope="session")
def reduced(run_study, tmp_path_factory) -> Path:
    """Run the reduced demo on one core and return its results."""
    folder = tmp_path_factory.mktemp("one-core")
    run_study(folder, *OVERLAYS, cores=1, targets=TARGETS)
    return folder / "results"
