"""The study killed at random instants and continued: `make survival`, 15 to 60 minutes.

SEGXAI_KILLS and SEGXAI_KILL_SEED choose how often and when.
"""

import base64
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

OVERLAYS = ("config/overlays/demo.yaml", "tests/survival/reduced.yaml")
# A table of each kind of scores and tests: what is reduced to them has no other parts.
TABLES = ("explainseg_ablation", "explainseg_instances", "segx_alignment", "segu_certainty")
TARGETS = [f"results/tables/{name}.csv" for name in TABLES]
KILLS = int(os.environ.get("SEGXAI_KILLS", "20"))
SEED = int(os.environ.get("SEGXAI_KILL_SEED", "1"))
# A study has its share of the kills before it may finish; then the next one starts.
KILLS_PER_STUDY = 20
SECONDS = (2, 30)
# Written at every start, by no job.
STARTED = ("config.yaml", "run.json")
# What differs from run to run by its nature: seconds and dates.
TIMED = {"maps": ".csv", "models": ".json", "raw": ".json"}


def snakemake(checkout: Path, folder: Path, *arguments: str) -> list[str]:
    """Command that runs the reduced demo in a folder."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--resources", "gpu=4"]
    command += ["--snakefile", str(checkout / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", *(str(checkout / overlay) for overlay in OVERLAYS)]
    return [*command, *arguments, "--", *TARGETS]


def run(checkout: Path, folder: Path, *arguments: str) -> str:
    """Run it to its end and return what it said."""
    command = snakemake(checkout, folder, *arguments)
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def kill_after(seconds: float, checkout: Path, folder: Path) -> bool:
    """Start it, kill it and all of its jobs at an instant; return whether it was still running."""
    with (folder / "study.log").open("a") as log_file:
        process = subprocess.Popen(
            snakemake(checkout, folder),
            cwd=checkout,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
        try:
            assert process.wait(seconds) == 0, (folder / "study.log").read_text()[-4000:]
            return False
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True


def finished(folder: Path) -> dict[Path, int]:
    """Time of each result, except those of jobs that Snakemake marks as unfinished."""
    markers = (folder / ".snakemake/incomplete").glob("*")
    names = [base64.b64decode(marker.name, validate=False).decode() for marker in markers]
    unfinished = {folder / name for name in names}
    files = {file for file in (folder / "results").rglob("*") if file.is_file()}
    return {
        file: file.stat().st_mtime_ns
        for file in files - unfinished
        if not is_partial(file.relative_to(folder)) and file.name not in STARTED
    }


def is_partial(file: Path) -> bool:
    """Whether a file, or a folder that it lies in, has no final name yet."""
    return any(part.startswith(".") for part in file.parts)


def is_shard(file: Path) -> bool:
    """Whether a file is a shard, which goes when all are gathered."""
    return bool(re.fullmatch(r"\d+\.(npy|csv)", file.name))


def require_unchanged(before: dict[Path, int]) -> None:
    """Check that finished files are as they were; shards may be gone."""
    for file, written in before.items():
        if file.exists() or not is_shard(file):
            assert file.stat().st_mtime_ns == written, file


def test_killed_studies_end_as_if_nothing_had_happened(checkout, tmp_path):
    """Killed again and again with all jobs and continued: same bytes, no finished work redone."""
    whole = tmp_path / "whole"
    whole.mkdir()
    run(checkout, whole)
    instants, killed, studies = random.Random(SEED), 0, []
    while killed < KILLS:
        folder = tmp_path / f"study-{len(studies)}"
        folder.mkdir()
        studies.append(folder)
        for _ in range(KILLS_PER_STUDY):
            before = finished(folder)
            seconds = instants.uniform(*SECONDS)
            hit = kill_after(seconds, checkout, folder)
            require_unchanged(before)
            killed += hit
            if not hit:
                break
            print(f"kill {killed} after {seconds:.1f} s: {len(before)} files were there before")
            run(checkout, folder, "--unlock")
        before = finished(folder)
        run(checkout, folder)
        require_unchanged(before)
        assert compare(whole / "results", folder / "results") > 50
    assert killed >= KILLS


def compare(whole: Path, killed: Path) -> int:
    """Check that two studies hold the same files, byte for byte, and count them."""
    files, others = (
        {
            file.relative_to(root)
            for file in root.rglob("*")
            # A kill between the last job that reads them and their removal leaves shards behind.
            if file.is_file() and not is_shard(file)
        }
        for root in (whole, killed)
    )
    assert others == files
    alike = [file for file in files if TIMED.get(file.parts[0]) != file.suffix]
    # The version of the source is that of the last start.
    alike.remove(Path("run.json"))
    for file in alike:
        assert (killed / file).read_bytes() == (whole / file).read_bytes(), file
    return len(alike)


def test_the_comparison_detects_one_bit(tmp_path):
    """A mask that differs in one pixel, and an extra file, are detected."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(name)
        np.save(tmp_path / name / "mask.npy", np.zeros(9, np.uint8))
    assert compare(tmp_path / "a", tmp_path / "b") == 1
    np.save(tmp_path / "b/mask.npy", np.eye(1, 9, 3, dtype=np.uint8)[0])
    with pytest.raises(AssertionError, match=r"mask\.npy"):
        compare(tmp_path / "a", tmp_path / "b")
    np.save(tmp_path / "b/mask.npy", np.zeros(9, np.uint8))
    (tmp_path / "b/.mask.new.npy").touch()
    with pytest.raises(AssertionError):
        compare(tmp_path / "a", tmp_path / "b")
