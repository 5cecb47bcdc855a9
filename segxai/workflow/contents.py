"""State of the files under a path of the configuration, as a param (standard library only).

Names, sizes and times of files are compared with those of the last job. Files are read only if
nothing but a time differs.
"""

import contextlib
import hashlib
import json
import logging
import os
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from segxai.workflow import kept

# Files and folders that macOS, Windows and storage systems add, unseen by the user.
ADDED = re.compile(
    r"\..*|~\$.*|(eh)?thumbs.*\.db|desktop\.ini|.*:(zone\.identifier|encryptable)|icon\r"
    r"|__macosx|\$recycle\.bin|system volume information|@eadir",
    re.IGNORECASE,
)
# Folders that Snakemake and this study write, possibly within a `path`.
OWN = ("results", "logs", "benchmarks")


class File(NamedTuple):
    """A file, its size in bytes, and the time of its last change in nanoseconds since 1970."""

    path: str
    size: int
    changed: int


def expanded(path: str) -> Path:
    """Replace ``~`` by the home folder, if known."""
    with contextlib.suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def list_files(folder: Path) -> dict[str, File]:
    """List the files below a folder by their paths in it, in a fixed order.

    Files that a system adds, broken links, and the results of the run in the current folder are
    passed over. Each folder is entered once, and never a parent of `folder`, since links may form a
    circle.

    Raises
    ------
    OSError
        If a folder cannot be read.
    """
    left_out = [*Path(os.path.realpath(folder)).parents, *filter(os.path.isdir, OWN)]
    seen, files = {_identity(place) for place in left_out}, {}
    pending = [(str(folder), "")]
    while pending:
        place, above = pending.pop()
        if above:
            if (own := _identity(place)) in seen:
                continue
            seen.add(own)
        with os.scandir(place) as entries:
            entries = sorted(entries, key=lambda entry: entry.name)
        folders = []
        for entry in entries:
            if ADDED.fullmatch(entry.name):
                continue
            name = above + _portable(entry.name)
            if entry.is_dir():
                folders.append((entry.path, f"{name}/"))
                continue
            try:
                state = entry.stat()
            except FileNotFoundError:
                continue
            files[name] = File(entry.path, state.st_size, state.st_mtime_ns)
        pending += reversed(folders)
    return files


def _identity(place: str | Path) -> tuple[int, int]:
    """Identity of a folder, whatever path leads to it."""
    state = Path(place).stat()
    return state.st_dev, state.st_ino


def _portable(name: str) -> str:
    """Name of a file with its bytes read as UTF-8, since locales decode them differently."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def sha256(path: str) -> str:
    """SHA-256 of a file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def folder_key(path: str, receipt: str) -> str:
    """Digest of the state of a folder: it changes if a file is changed, added or removed.

    Parameters
    ----------
    path : str
        The folder, as the configuration names it.
    receipt : str
        File written by the job that read the folder, if it has run: the ``contents`` of that run,
        and the size, time and SHA-256 of each of the ``files``, as one text.

    Returns
    -------
    str
        The receipt's digest if the folder holds the same or cannot be read; empty if there is
        neither.
    """
    contents, known = _read(receipt)
    try:
        files = list_files(expanded(path))
        if contents and _same(files, known):
            return contents
    except OSError as error:
        return _unread(path, error, contents)
    listed = (f"{name} {file.size} {file.changed}\n" for name, file in files.items())
    return hashlib.sha256("".join(listed).encode()).hexdigest()[:16]


@cache
def file_key(path: str) -> str:
    """SHA-256 of a file; if it cannot be read, the last known one, or nothing."""
    place = expanded(path)
    try:
        state = place.stat()
        return known_digests([File(str(place), state.st_size, state.st_mtime_ns)])[0]
    except OSError as error:
        return _unread(path, error, kept.read("contents").get(str(place), [None])[-1])


def known_digests(files: Iterable[File]) -> list[str]:
    """SHA-256 of files; files with a known size and time are not read again."""
    known, digests, fresh = kept.read("contents"), [], {}
    for file in files:
        size, changed, digest = known.get(file.path, (None, None, None))
        if (size, changed) != file[1:]:
            digest = sha256(file.path)
            fresh[file.path] = [*file[1:], digest]
        digests.append(digest)
    if fresh:
        kept.write("contents", known | fresh)
    return digests


def _read(receipt: str) -> tuple[str, dict[str, str]]:
    """Entries of a receipt about a folder: ``contents`` and ``files``; empty without them."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        facts = json.loads(Path(receipt).read_text(encoding="utf-8"))
        return str(facts["contents"]), dict(facts["files"])
    return "", {}


def _same(files: dict[str, File], known: dict[str, str]) -> bool:
    """Whether files have the names, sizes and contents of a receipt."""
    if files.keys() != known.keys():
        return False
    touched = {
        name: file
        for name, file in files.items()
        if not known[name].startswith(f"{file.size} {file.changed} ")
    }
    if not all(known[name].startswith(f"{file.size} ") for name, file in touched.items()):
        return False
    digests = known_digests(touched.values()) if touched else []
    return digests == [known[name].split()[-1] for name in touched]


def _unread(path: str, error: OSError, known: str | None) -> str:
    """Warn that results of a path stay, if there are any; otherwise its job reports the problem."""
    if known:
        logging.getLogger("segxai").warning(
            "%s: cannot be read (%s); the earlier results from it are used unchanged.",
            path,
            error.strerror,
        )
    return known or ""
