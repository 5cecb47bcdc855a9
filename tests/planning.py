"""Plans of Snakemake without heavy packages, each in a fork of a process that has imported it."""

import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("captum", "matplotlib", "numpy", "pandas", "scipy", "skimage", "timm", "torch")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["snakemake.cli"])


class Plan(NamedTuple):
    """How Snakemake ended, what it printed, and the processor's seconds but those of its import."""

    returncode: int
    stdout: str
    seconds: float


def _run(arguments: list[str], printed: str, seconds) -> None:
    """Run Snakemake in the checkout; whatever it prints goes into the file `printed`."""
    with Path(printed).open("w", encoding="utf-8") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    os.chdir(ROOT)
    # Snakemake itself imports NumPy where it is installed. From here on the workflow imports.
    sys.modules |= dict.fromkeys(HEAVY)
    from snakemake.cli import main

    sys.argv = ["snakemake", *arguments]
    try:
        main(arguments)
    finally:
        seconds.value = time.process_time()


def snakemake(*arguments: object) -> Plan:
    """Run Snakemake in the checkout as from the shell; an import of a heavy package fails there."""
    seconds = FORKS.RawValue("d")
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as printed:
        process = FORKS.Process(target=_run, args=([*map(str, arguments)], printed.name, seconds))
        process.start()
        process.join()
        return Plan(process.exitcode, printed.read(), seconds.value)
