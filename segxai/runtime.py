"""What every job needs around its arrays: logging, clear errors, atomic files, seeds, workers."""

import contextlib
import errno
import fcntl
import logging
import os
import re
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from tqdm import tqdm

log = logging.getLogger("segxai")

# Marks what the terminal shows of a job while it is at work.
SHOWN = {"shown": True}

UNPRINTABLE = r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]"  # control codes, and bytes that are no UTF-8
NO_MEMORY = "allocate memory|out of memory"
BLAS_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class InputError(Exception):
    """One sentence for the user: which file or key, what is wrong with it, and the remedy.

    It is one printable line, whatever the names and messages that it quotes hold.
    """

    def __init__(self, sentence: str):
        super().__init__(printable(sentence))


def printable(text: str) -> str:
    """Put a text on one line, and show codes of a terminal and what is no text by numbers."""
    line = re.sub(r"\s*[\r\n]\s*", " ", text)
    return re.sub(UNPRINTABLE, lambda code: ascii(code[0])[1:-1], line)


def reason(error: BaseException) -> str:
    """Say what a library refused: the first line of its message, shortened."""
    # A missing key alone says nothing.
    prefix = "KeyError: " if isinstance(error, KeyError) else ""
    text = prefix + str(error).strip() or type(error).__name__
    line = text.splitlines()[0].strip(" :.")
    return f"{line[:150].rstrip()}…" if len(line) > 150 else line


@contextlib.contextmanager
def job(snakemake) -> Iterator[None]:
    """Log a job, show on the terminal what matters of it, and turn a failure into one sentence.

    All goes to the job's log file. The terminal, which jobs share, shows progress, warnings and,
    when the job ends, its key figure: the last thing that it said. The sentence about a failure is
    the last line of the log; the traceback of anything but an :class:`InputError` stands above it.
    """
    key_figure = _KeyFigure()
    # A log on a full disk must not bury the sentence on the terminal under tracebacks of its own.
    logging.raiseExceptions = False
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[
            logging.FileHandler(
                snakemake.log[0], mode="w", encoding="utf-8", errors="backslashreplace"
            ),
            key_figure,
            _terminal(snakemake.rule + "".join(f" {value}" for value in snakemake.wildcards)),
        ],
        force=True,
    )
    # Third-party chatter stays out of the key figures of a job.
    logging.getLogger("PIL").setLevel(logging.WARNING)
    started = time.monotonic()
    try:
        yield
        log.info("%s (%.0f s)", key_figure.text, time.monotonic() - started, extra=SHOWN)
    except InputError as error:
        log.error("error: %s", error)
        sys.exit(1)
    except OSError as error:
        log.error("error: %s", describe_os_error(error))
        sys.exit(1)
    except Exception as error:
        # PyTorch says so in other errors of its own.
        if isinstance(error, MemoryError) or re.search(NO_MEMORY, str(error)):
            remedy = "lower the batch size or `threads`, or give the job more memory"
            log.error("error: the memory is too small (%s); %s.", reason(error), remedy)
            sys.exit(1)
        log.error("unexpected:", exc_info=True)
        log.error("error: %s: %s", type(error).__name__, error)
        sys.exit(1)


def _terminal(name: str) -> logging.Handler:
    """Show what matters of the job of this name."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {name}: %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: record.levelno > logging.INFO or hasattr(record, "shown"))
    return handler


class _KeyFigure(logging.Handler):
    """Keeps the last thing that a job said of its own accord."""

    text = "done"

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == log.name and not hasattr(record, "shown"):
            self.text = record.getMessage()


def describe_os_error(error: OSError) -> str:
    """Say in one sentence what the operating system refused and what to do about it."""
    # NumPy reports a full disk in words of its own, without an error number.
    full = re.search("requested and|Not enough free space", str(error))
    number = errno.ENOSPC if full else error.errno
    place = error.filename or "the output folder"
    remedy = {
        errno.ENOSPC: "free some disk space and run the same command again; finished jobs are kept",
        errno.EDQUOT: "raise the disk quota and run the same command again; finished jobs are kept",
        errno.EACCES: "give this user permission to it",
        errno.EROFS: "choose an output folder that can be written",
        errno.ENOENT: "check the path in the configuration",
    }.get(number, "check the path and the disk, then run the same command again")
    return printable(f"{place}: {error.strerror or error}; {remedy}.")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`; rename it to `path` only when the block succeeds.

    The suffix is kept, so that writers which look at it (NumPy, matplotlib) work unchanged. What a
    killed process leaves is overwritten by the next. Two processes must not write one file at the
    same time; Snakemake's lock sees to that.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.new{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def image_seed(seed: int, image_id: str) -> int:
    """Seed of one image: a pure function of the study's seed and the image's identifier.

    Whatever is drawn for an image then depends neither on the batch, the shard nor the order.
    """
    return (seed * 0x9E3779B1 + zlib.crc32(image_id.encode())) % 2**32


def shard_rows(n: int, shard: int, shards: int) -> slice:
    """Rows of shard `shard` of `shards`: contiguous, disjoint, and together 0…n−1."""
    bounds = np.linspace(0, n, shards + 1).round().astype(int)
    return slice(int(bounds[shard]), int(bounds[shard + 1]))


def progress(items: Iterable, total: int, what: str) -> Iterator:
    """Show progress: a bar on a terminal, otherwise a log line every ten seconds and at the end."""
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=what, leave=False)
        return
    last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        if done == total or time.monotonic() - last > 10:
            last = time.monotonic()
            log.info("%s: %d of %d", what, done, total, extra=SHOWN)


def map_images(
    function: Callable, items: Iterable, total: int, workers: int, what: str
) -> Iterator:
    """Yield `function` of each item, in order, from `workers` processes with one BLAS thread each.

    One BLAS thread per process keeps small cuts fast (an oversubscribed 196-node cut took 190
    times as long) and makes results independent of the number of workers. Items are taken a block
    at a time, while the workers rest: memory stays flat in their number, and whatever computes
    them (a network, say) has all cores.

    One worker is this process itself, if it was started with one BLAS thread, as by a rule of one
    thread: loading the libraries again can take longer than the work.
    """
    if workers == 1 and all(os.environ.get(variable) == "1" for variable in BLAS_THREADS):
        yield from progress(map(function, items), total, what)
        return
    for variable in BLAS_THREADS:
        os.environ[variable] = "1"
    chunk = max(1, min(8, total // (4 * workers)))

    def results() -> Iterator:
        source = iter(items)
        while block := list(islice(source, 2 * workers * chunk)):
            yield from pool.map(function, block, chunksize=chunk)

    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from progress(results(), total, what)


def torch_device(threads: int):
    """Choose a GPU that no other job has, else the CPU with a fixed number of threads.

    The thread count comes from the configuration, not from ``--cores``: sums over threads are
    rounded in an order that depends on their number, and tables must not.
    """
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    if torch.cuda.is_available():
        properties = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
        return torch.device("cuda", claim_gpu([str(gpu.uuid) for gpu in properties]))
    log.info("no GPU found: running on the CPU with %d threads", threads)
    return torch.device("cpu")


def claim_gpu(uuids: list[str]) -> int:
    """Give the index of the first GPU that no other job of this user on this machine has.

    Snakemake counts GPUs but does not say which is whose. A locked file does, until this process
    ends, however it ends. Where all are taken (`gpu` above their number), jobs share.
    """
    for index, uuid in enumerate(uuids):
        path = Path(tempfile.gettempdir(), f"segxai-{os.getuid()}-{uuid}.lock")
        # A descriptor, which stays open, and not a file, which is closed with its last reference.
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return index
    return os.getpid() % len(uuids)


def usable_precision(precision: str, device) -> str:
    """Give `precision` where the device computes in it, else ``float32``, and say so.

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
