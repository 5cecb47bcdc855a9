"""What jobs need around their arrays: atomic files, seeds, shards, clear errors, workers."""

import errno
import logging
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from segxai.images.arrays import read_array
from segxai.job.device import claim_gpu, torch_device, usable_precision
from segxai.job.files import atomic_path
from segxai.job.log import InputError, describe_os_error, job, log, progress
from segxai.job.parallel import BLAS_THREADS, map_images
from segxai.job.seeds import image_seed, shard_rows


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    """An exception inside the block keeps what was there and removes the temporary file."""
    path = tmp_path / "deep" / "table.csv"
    with atomic_path(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


@given(n=st.integers(0, 300), shards=st.integers(1, 12))
def test_shards_are_a_partition(n, shards):
    """Shards are disjoint, in order, cover all rows, and differ in size by one at most."""
    parts = [list(range(n))[shard_rows(n, shard, shards)] for shard in range(shards)]
    assert [row for part in parts for row in part] == list(range(n))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


def test_image_seed_depends_on_seed_and_name_only():
    """Other seeds and other names give other generators; the same pair the same one."""
    seeds = {image_seed(seed, name) for seed in range(20) for name in ("a", "b", "ä", "a1")}
    assert len(seeds) == 80
    assert image_seed(3, "cju0qkwl35") == image_seed(3, "cju0qkwl35")
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_broken_arrays_get_one_sentence(tmp_path):
    """Cut short, pickled and missing arrays each name the file and what to do."""
    path = tmp_path / "maps.npy"
    np.save(path, np.ones((40, 40), np.float16))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match=r"maps\.npy: not a readable array.*delete it"):
        read_array(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable array"):
        read_array(path)
    with pytest.raises(InputError, match=r"absent\.npy"):
        read_array(tmp_path / "absent.npy")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "results/a.npy"), "free some disk space"),
        (OSError("131072 requested and 0 written"), "free some disk space"),
        (PermissionError(errno.EACCES, "Permission denied", "results"), "permission"),
        (FileNotFoundError(errno.ENOENT, "No such file", "data"), "check the path"),
    ],
)
def test_system_errors_become_one_sentence(error, words):
    """What the operating system refuses is named with its remedy, on one line."""
    sentence = describe_os_error(error)
    assert words in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("error", "last", "traceback"),
    [
        (InputError("a.png: truncated; copy it again."), "a.png: truncated; copy it again.", False),
        (OSError(errno.ENOSPC, "No space left on device"), "free some disk space", False),
        (MemoryError("Unable to allocate 3. TiB"), "give the job more memory.", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "more memory.", False),
        (KeyError("mean"), "KeyError: 'mean'", True),
    ],
)
def test_a_failing_job_ends_with_its_sentence_and_a_non_zero_exit(tmp_path, error, last, traceback):
    """The log's last line is the sentence; a traceback stands above it only for surprises."""
    fake = SimpleNamespace(log=[tmp_path / "job.log"], rule="explain", wildcards=["kvasir-seg"])
    with pytest.raises(SystemExit) as exit_status, job(fake):
        raise error
    said = (tmp_path / "job.log").read_text()
    assert exit_status.value.code == 1
    assert ("Traceback" in said) == traceback
    assert last in said.splitlines()[-1]


def test_the_terminal_shows_progress_warnings_and_one_line_at_the_end(tmp_path, capsys):
    """The log has all; the terminal names the job, and ends with the last thing that it said."""
    fake = SimpleNamespace(log=[tmp_path / "job.log"], rule="explain", wildcards=["kvasir-seg"])
    with job(fake):
        log.info("no GPU found")
        list(progress(range(3), 3, "images explained"))
        log.warning("one image has no map")
        log.info("median completeness error %.2f", 0.03)
        logging.getLogger("timm").info("chatter")
    shown = [line.split(" ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert shown == [
        "explain kvasir-seg: images explained: 3 of 3",
        "explain kvasir-seg: one image has no map",
        "explain kvasir-seg: median completeness error 0.03 (0 s)",
    ]
    assert "no GPU found" in (tmp_path / "job.log").read_text()


def test_progress_passes_items_on_and_says_when_done(caplog):
    """Items come through unchanged and in order; the end is logged."""
    with caplog.at_level(logging.INFO, logger="segxai"):
        assert list(progress(range(5), 5, "images")) == [0, 1, 2, 3, 4]
    assert "images: 5 of 5" in caplog.text


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_needs_instructions(monkeypatch, caplog, has):
    """A CPU without bfloat16 instructions computes in float32 and says so; a GPU is left alone."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "amx_bf16": has})
    with caplog.at_level(logging.INFO, logger="segxai"):
        chosen = usable_precision("bfloat16", torch.device("cpu"))
    assert chosen == ("bfloat16" if has else "float32")
    assert ("no bfloat16" in caplog.text) != has
    assert usable_precision("bfloat16", torch.device("cuda")) == "bfloat16"
    assert usable_precision("float32", torch.device("cpu")) == "float32"


CLAIM = "from segxai.job.device import claim_gpu; print(claim_gpu(['a', 'b']), flush=True); input()"


def test_each_job_has_a_gpu_of_its_own(tmp_path, monkeypatch):
    """Two jobs get two GPUs, a third shares, and the GPU of a killed job is free at once."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    jobs, claimed = [], []
    for _ in range(3):
        job = subprocess.Popen(
            [sys.executable, "-c", CLAIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        jobs.append(job)
        claimed.append(int(job.stdout.readline()))
    assert claimed == [0, 1, jobs[2].pid % 2]
    jobs[0].kill()
    jobs[0].wait()
    assert claim_gpu(["a", "b"]) == 0
    for job in jobs[1:]:
        job.communicate("\n")


def test_the_claimed_gpu_is_the_device(monkeypatch):
    """PyTorch's GPUs are claimed by their UUIDs, and the index that is given is used."""
    gpus = [SimpleNamespace(uuid="a"), SimpleNamespace(uuid="b")]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", gpus.__getitem__)
    monkeypatch.setattr("segxai.job.device.claim_gpu", lambda uuids: uuids.index("b"))
    assert torch_device(torch.get_num_threads()) == torch.device("cuda", 1)


def test_items_are_made_while_they_are_needed():
    """Of many items a block is taken at a time: the first result comes before the last item."""
    taken = []

    def items():
        for k in range(100):
            taken.append(k)
            yield np.full(2, k)

    results = map_images(np.sum, items(), 100, 1, "sums")
    assert next(results) == 0
    assert len(taken) < 30
    assert list(results) == [2 * k for k in range(1, 100)]


def test_workers_keep_the_order():
    """Results come in the order of the items for any number of processes."""
    items = [np.full(3, k) for k in range(7)]
    for workers in (1, 2):
        assert [*map_images(np.sum, items, 7, workers, "sums")] == [3 * k for k in range(7)]


@pytest.mark.parametrize("threads", ["1", "2"])
def test_one_worker_is_this_process_if_it_has_one_blas_thread(monkeypatch, threads):
    """A process that may use more threads leaves the work to one that may not."""
    for variable in BLAS_THREADS:
        monkeypatch.setenv(variable, threads)
    ids = {*map_images(process_id, range(3), 3, 1, "ids")}
    assert len(ids) == 1
    assert (os.getpid() in ids) == (threads == "1")


def process_id(_) -> int:
    """Identify the process that does the work."""
    return os.getpid()
