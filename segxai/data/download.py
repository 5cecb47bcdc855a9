"""Original archives: downloaded, checked, resumed, and unpacked without trusting them."""

import contextlib
import errno
import gzip
import logging
import lzma
import math
import os
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO
from urllib.parse import urlsplit

import pooch
import requests

from segxai.runtime import InputError, progress

log = logging.getLogger("segxai")

CHUNK = 2**16  # bytes, the most that a lost connection costs again
MAX_EXPANSION = 100  # unpacked bytes per byte of archive, beyond the first GiB
MAX_FILES = 1_000_000
# What the standard library raises on a broken archive, or one that names a file twice.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    FileExistsError,
    NotADirectoryError,
    NotImplementedError,
    ValueError,
)
BY_HAND = "download it by hand and let `path` of the data set name the unpacked folder"


def download(
    url: str,
    checksum: str,
    n_bytes: int | None,
    folder: Path,
    name: str | None = None,
    **options,
) -> Path:
    """Download a file into `folder`, or take the one that is there, and check its content.

    Parameters
    ----------
    url : str
    checksum : str
        SHA-256 in hexadecimal, or ``md5:`` and the MD5 where no other is published.
    n_bytes : int or None
        Size of the file, if it is known.
    folder : Path
        An interrupted download stays here as ``<start of checksum>.part`` and is continued.
    name : str, optional
        Name of the file; by default the last part of the address.
    **options
        Of :class:`ResumingDownload`.

    Returns
    -------
    file : Path

    Raises
    ------
    InputError
        If the server does not give the file, or gives another one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kind, _, digest = checksum.rpartition(":")
    part = folder / f"{digest[:16]}.part"
    missing = (n_bytes or 0) - size_of(part)
    if shutil.disk_usage(folder).free < missing:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
    try:
        file = pooch.retrieve(
            url,
            known_hash=f"{kind or 'sha256'}:{digest}",
            fname=name or Path(urlsplit(url).path).name or "archive",
            path=folder,
            downloader=ResumingDownload(part, n_bytes, **options),
        )
    except requests.RequestException as error:
        reason = (
            f"HTTP status {error.response.status_code}" if error.response is not None else error
        )
        raise InputError(
            f"{url}: cannot be downloaded ({reason}); run the same command again, which continues "
            f"after the {size_of(part):,} bytes that are here, or {BY_HAND}."
        ) from error
    # How pooch reports another checksum, after deleting the file.
    except ValueError as error:
        raise InputError(
            f"{url}: is not the expected file ({kind or 'sha256'} {digest[:16]}…); the "
            f"server or a proxy sent something else: run the same command again, or {BY_HAND}."
        ) from error
    return Path(file)


@dataclass(frozen=True)
class ResumingDownload:
    """Downloader for :func:`pooch.retrieve` that goes on where an earlier attempt stopped.

    Attributes
    ----------
    part : Path
        The bytes received so far, kept when a download fails.
    n_bytes : int or None
        Size of the whole file, if it is known.
    attempts : int
        Failures in a row without a new byte before it gives up.
    timeout : float
        Longest silence of the server, in seconds.
    pause : float
        Seconds before the second attempt; doubled before each further one.
    """

    part: Path
    n_bytes: int | None
    attempts: int = 5
    timeout: float = 60.0
    pause: float = 1.0

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        """Complete `part` and rename it to `output_file`; its checksum is pooch's business."""
        failures = 0
        while failures < self.attempts:
            before = size_of(self.part)
            try:
                self.fetch_rest(url)
                break
            except requests.RequestException as error:
                failures = 1 if size_of(self.part) > before else failures + 1
                if not is_temporary(error) or failures == self.attempts:
                    raise
                log.info("connection lost (%s); trying again", error)
                time.sleep(self.pause * 2 ** (failures - 1))
        self.part.replace(output_file)

    def fetch_rest(self, url: str) -> None:
        """Ask for the bytes that are missing and append them to `part`."""
        start = size_of(self.part)
        if self.n_bytes is not None and start >= self.n_bytes:
            return
        # Some servers refuse what is no browser; compressed transfer would shift the range.
        headers = {"User-Agent": "Mozilla/5.0 (segxai)", "Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as response:
            # Asked for the rest of a file that is here in full: its checksum will tell.
            if start and response.status_code == requests.codes.requested_range_not_satisfiable:
                return
            response.raise_for_status()
            # A server without ranges answers 200 and starts afresh.
            resumed = response.status_code == requests.codes.partial_content
            n_chunks = math.ceil(int(response.headers.get("Content-Length", 0)) / CHUNK)
            chunks = progress(response.iter_content(CHUNK), n_chunks, "blocks of 64 KiB received")
            with self.part.open("ab" if resumed else "wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    if self.n_bytes is not None and file.tell() > self.n_bytes:
                        return


def is_temporary(error: requests.RequestException) -> bool:
    """Whether asking again may help: lost connections and busy servers, not wrong addresses."""
    if error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    return not isinstance(error, (requests.exceptions.SSLError, ValueError))


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


@contextlib.contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that replaces `folder` only when the block succeeds."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        # Temporary folders are private to the user; a data set need not be.
        fresh = Path(scratch) / folder.name
        fresh.mkdir()
        yield fresh
        if folder.exists():
            shutil.rmtree(folder)
        fresh.rename(folder)


def extract(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive of plain files into `folder`, which appears only when complete.

    Raises
    ------
    InputError
        If the archive is damaged, or holds links, devices, encrypted files, names that leave the
        folder, or so much that it must be a trap; `folder` is then as it was.
    """
    limit = 2**30 + MAX_EXPANSION * archive.stat().st_size
    try:
        with fresh_folder(folder) as root:
            for count, (name, size, open_member) in enumerate(members(archive), 1):
                limit -= size
                if limit < 0 or count > MAX_FILES:
                    raise InputError(f"{archive}: unpacks to far more than its size; {BY_HAND}.")
                target = root / safe_name(name, archive)
                target.parent.mkdir(parents=True, exist_ok=True)
                with open_member() as source, target.open("xb") as file:
                    shutil.copyfileobj(source, file, CHUNK)
    except DAMAGED as error:
        raise InputError(
            f"{archive}: is damaged or truncated ({error}); delete it and run the same command "
            "again."
        ) from error


Member = tuple[str, int, Callable[[], BinaryIO]]


def members(archive: Path) -> Iterator[Member]:
    """List the plain files of an archive: name, size in bytes, and how to open them."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & 1:
                    raise InputError(
                        f"{archive}: {entry.filename} is a link or encrypted; {BY_HAND}."
                    )
                if not entry.is_dir():
                    yield entry.filename, entry.file_size, partial(opened.open, entry)
    else:
        with tarfile.open(archive) as opened:
            for entry in opened:
                if not (entry.isfile() or entry.isdir()):
                    raise InputError(f"{archive}: {entry.name} is a link or device; {BY_HAND}.")
                if entry.isfile():
                    yield entry.name, entry.size, partial(opened.extractfile, entry)


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """Refuse a name that would be written outside the folder, on any system."""
    for path in (PureWindowsPath(name), PurePosixPath(name)):
        if path.anchor or ".." in path.parts or not path.parts:
            raise InputError(f"{archive}: holds '{name}', which leaves its folder; {BY_HAND}.")
    return path
