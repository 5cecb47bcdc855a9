"""Log of a job, its lines on the terminal, and error sentences."""

import contextlib
import errno
import inspect
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from tqdm import tqdm

from segxai.workflow.names import UNPRINTABLE

log = logging.getLogger("segxai")

# Marks lines that the terminal shows while a job runs.
SHOWN = {"shown": True}

NO_MEMORY = "allocate memory|out of memory"


class InputError(Exception):
    """One sentence for the user: file or key, problem and remedy.

    It is one printable line, whatever names and messages it quotes.
    """

    def __init__(self, sentence: str):
        super().__init__(printable(sentence))


def printable(text: str) -> str:
    """Put a text on one line, and show unprintable codes by their numbers."""
    line = re.sub(r"\s*[\r\n]\s*", " ", text)
    return re.sub(UNPRINTABLE, lambda code: ascii(code[0])[1:-1], line)


def reason(error: BaseException) -> str:
    """Reason that a library gives: the first line of its message, shortened."""
    # A missing key alone is not a reason.
    prefix = "KeyError: " if isinstance(error, KeyError) else ""
    text = prefix + str(error).strip() or type(error).__name__
    line = text.splitlines()[0].strip(" :.")
    return f"{line[:150].rstrip()}…" if len(line) > 150 else line


@contextlib.contextmanager
def job(snakemake) -> Iterator[None]:
    """Log a job, show its important lines on the terminal, and turn a failure into one sentence.

    All lines go to the job's log file. The terminal, which jobs share, shows progress, warnings
    and, when the job ends, its key figure: its last log line. The sentence about a failure is the
    last line of the log; the traceback of anything but an :class:`InputError` stands above it.
    """
    key_figure = _KeyFigure()
    # A log on a full disk must not bury the sentence on the terminal under its own tracebacks.
    logging.raiseExceptions = False
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=[
            logging.FileHandler(snakemake.log[0], "w", "utf-8", errors="backslashreplace"),
            key_figure,
            _terminal(" ".join([snakemake.rule, *map(str, snakemake.wildcards)])),
        ],
        force=True,
    )
    # Messages of libraries are not key figures of a job.
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
        # PyTorch reports it by other errors.
        if isinstance(error, MemoryError) or re.search(NO_MEMORY, str(error)):
            remedy = "lower the batch size or `threads`, or give the job more memory"
            log.error("error: the memory is too small (%s); %s.", reason(error), remedy)
            sys.exit(1)
        log.error("unexpected:", exc_info=True)
        log.error("error: %s: %s", type(error).__name__, error)
        sys.exit(1)


def run(main: Callable, snakemake) -> None:
    """Call the `main` of a script with the values of its rule, by name.

    A parameter is an input, an output, a param or a wildcard of the rule; `seed`, `shard` and
    `size` are whole numbers, and `threads` are those that Snakemake grants unless it is a param. A
    parameter with a default may be absent from the rule.

    Raises
    ------
    TypeError
        If the rule has a name twice, or lacks a required parameter of `main`.
    """
    given = {"threads": snakemake.threads}
    sources = [snakemake.input, snakemake.output, snakemake.params]
    names = [name for source in sources for name, _ in source.items()]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise TypeError(f"rule {snakemake.rule} gives '{repeated[0]}' twice: rename one of them.")
    given |= dict(snakemake.wildcards.items())
    given |= {name: int(given[name]) for name in ("seed", "shard", "size") if name in given}
    given |= {name: value for source in sources for name, value in source.items()}
    parameters = inspect.signature(main).parameters
    with job(snakemake):
        main(**{name: given[name] for name in parameters if name in given})


def _terminal(name: str) -> logging.Handler:
    """Show the important lines of the named job."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"%(asctime)s {name}: %(message)s", "%H:%M:%S"))
    handler.addFilter(lambda record: record.levelno > logging.INFO or hasattr(record, "shown"))
    return handler


class _KeyFigure(logging.Handler):
    """Keeps the last log line of the job itself."""

    text = "done"

    def emit(self, record: logging.LogRecord) -> None:
        if record.name == log.name and not hasattr(record, "shown"):
            self.text = record.getMessage()


def describe_os_error(error: OSError) -> str:
    """Sentence with the error of the operating system and its remedy."""
    # NumPy reports a full disk without an error number.
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
