"""Disks that are full or cannot be written: one sentence, a non-zero exit, no half of a file."""

import contextlib
import os
import re
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from segxai.datasets import phantom_findings, phantom_lesions
from segxai.fetch.archives import extract
from segxai.images.arrays import npy_rows
from segxai.job.files import atomic_path
from segxai.job.log import job
from segxai.networks.saving import save_weights
from tests.hostile.refusal import files_below, prepare, write_lesions

FULL = "free some disk space and run the same command again"
LOCKED = "choose an output folder that can be written|give this user permission"


@contextlib.contextmanager
def mounted(folder: Path, options: str):
    """Lay a small disk over a folder; skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    program = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    try:
        tried = subprocess.run(program, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no mount program")
    if tried.returncode:
        pytest.skip(f"mounting is not allowed here: {tried.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fail(work, tmp_path: Path, log: Path | None = None) -> tuple[str, str]:
    """Run work as a job that must fail; return the last line and the whole of its log."""
    log = log or tmp_path / "job.log"
    fake = SimpleNamespace(log=[log], rule="prepare", wildcards=["set"])
    with pytest.raises(SystemExit) as status, job(fake):
        work()
    assert status.value.code == 1
    text = log.read_text()
    return (text.splitlines() or [""])[-1], text


def rows(folder: Path) -> None:
    with atomic_path(folder / "a.npy") as path, npy_rows(path, (512, 512)) as append:
        for _ in range(40):
            append(np.ones((512, 512), np.uint8))


def array(folder: Path) -> None:
    with atomic_path(folder / "a.npy") as path:
        np.save(path, np.ones(2**21))


def weights(folder: Path) -> None:
    with atomic_path(folder / "a.safetensors") as path:
        save_weights(torch.nn.Linear(2000, 1000), path)


def table(folder: Path) -> None:
    with atomic_path(folder / "a.csv") as path:
        path.write_text("0123456789\n" * 2**18)


def unpacked(folder: Path) -> None:
    archive = folder.parent / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for i in range(4):
            opened.writestr(f"{i}.png", np.random.default_rng(i).bytes(2**20))
    extract(archive, folder / "set")


def prepared(folder: Path) -> None:
    prepare(write_lesions(folder.parent / "originals", 9), folder, analysis_size=512)


def lesions(folder: Path) -> None:
    phantom_lesions.generate(folder / "set", 60, 256)


def radiographs(folder: Path) -> None:
    phantom_findings.generate(folder / "set", 60, 256)


WRITERS = [rows, array, weights, table, unpacked, prepared, lesions, radiographs]
KEPT = {lesions: "set", radiographs: "set"}  # whole images of a folder without its table


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_full_disk_is_one_sentence(tmp_path, write):
    """With 1 MiB of space the job reports it, and no file remains."""
    with mounted(tmp_path / "disk", "size=1m") as disk:
        last, text = fail(partial(write, disk), tmp_path)
        assert re.search(FULL, last), text
        assert "Traceback" not in text
        left = files_below(disk)
        assert not [name for name in left if "partial" in name or ".new" in name]
        if write not in KEPT:
            assert left == set()
        else:
            assert not (disk / "set" / "labels.csv").exists()


def test_full_disk_of_the_log_too(tmp_path, capfd):
    """Where not even the log fits, the sentence still stands alone on the terminal."""
    with mounted(tmp_path / "disk", "size=64k") as disk:
        log = disk / "job.log"
        fail(partial(array, disk), tmp_path, log)
    terminal = capfd.readouterr().err
    assert (
        re.search(FULL, terminal)
        and "Traceback" not in terminal
        and "Logging error" not in terminal
    )


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_disk_that_cannot_be_written_is_one_sentence(tmp_path, write):
    """On a read-only disk the sentence names the place and asks for another."""
    with mounted(tmp_path / "disk", "size=1m,ro") as disk:
        last, text = fail(partial(write, disk), tmp_path)
        assert re.search(LOCKED, last), text
        assert str(disk) in last and "Traceback" not in text
        assert files_below(disk) == set()


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_file_in_place_of_the_folder_is_one_sentence(tmp_path, write):
    """An output folder whose name is taken by a file is named, and the file stays."""
    taken = tmp_path / "taken"
    taken.write_text("mine")
    last, text = fail(partial(write, taken / "out"), tmp_path)
    assert "taken" in last and "check the path" in last, text
    assert "Traceback" not in text
    assert taken.read_text() == "mine"


def test_a_closed_pipe_gives_no_traceback(tmp_path):
    """A closed pipe, as with `| head`, does not hide the sentence in the log file."""
    program = (
        "import sys; from types import SimpleNamespace as S; from segxai.job.log import *\n"
        "with job(S(log=[sys.argv[1]], rule='r', wildcards=[])):\n"
        "    raise InputError('a.png: is empty; replace it.')\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    log = tmp_path / "job.log"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program, log], stderr=writing, cwd=root)
    os.close(writing)
    assert done.returncode != 0
    assert log.read_text().splitlines()[-1].endswith("error: a.png: is empty; replace it.")


def test_names_that_are_not_text_can_be_logged(tmp_path):
    """A name in no known encoding, in any locale, is logged by its codes."""
    path = tmp_path / os.fsdecode(b"\xff.npy")
    last, text = fail(partial(path.open), tmp_path)
    assert "\\udcff.npy" in last and "check the path" in last and "Traceback" not in text
