"""Which GPU a job takes, and with which precision it computes."""

import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from segxai.job.device import claim_gpu, torch_device, usable_precision


@pytest.mark.parametrize("has", [True, False])
def test_bfloat16_needs_instructions(monkeypatch, caplog, has):
    """A CPU without bfloat16 instructions computes in float32 and logs it; a GPU does not."""
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
