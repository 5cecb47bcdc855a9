"""Device and precision of a job."""

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from segxai.job.log import log


def torch_device(threads: int):
    """Choose a GPU without another job, else the CPU with a fixed number of threads.

    The thread count comes from the configuration, not from ``--cores``: the rounding of sums over
    threads depends on their number, and tables must not.
    """
    import torch

    torch.set_num_threads(threads)
    # As use_deterministic_algorithms does, which also loads torch's compiler: 3 s of every job.
    torch.set_deterministic_debug_mode("warn")
    if torch.cuda.is_available():
        properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return torch.device("cuda", claim_gpu([str(gpu.uuid) for gpu in properties]))
    log.info("no GPU found: running on the CPU with %d threads", threads)
    return torch.device("cpu")


def claim_gpu(uuids: list[str]) -> int:
    """Index of the first GPU without another job of this user on this machine.

    Snakemake counts GPUs but does not assign them. A locked file assigns one until this process
    ends, in whatever way. Where all are taken (`gpu` above their number), jobs share.
    """
    for index, uuid in enumerate(uuids):
        path = Path(tempfile.gettempdir(), f"segxai-{os.getuid()}-{uuid}.lock")
        # A descriptor stays open, whereas a file object closes with its last reference.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return index
    return os.getpid() % len(uuids)


def usable_precision(precision: str, device) -> str:
    """Return `precision` if the device supports it, else ``float32`` with a line in the log.

    A processor without bfloat16 instructions emulates them: a product of matrices took 60 times
    as long there as in float32.
    """
    import torch

    if device.type == "cpu" and precision == "bfloat16":
        instructions = torch.cpu.get_capabilities()
        if not any(has and "bf16" in name for name, has in instructions.items()):
            log.info("this processor has no bfloat16 instructions: computing in float32")
            return "float32"
    return precision
