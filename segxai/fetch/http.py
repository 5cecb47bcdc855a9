"""Downloads by HTTP: retried, checked and resumed."""

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import ChunkedEncodingError
from urllib3 import Retry

from segxai.fetch.archives import BY_HAND
from segxai.job.files import atomic_path
from segxai.job.log import SHOWN, InputError, log

CHUNK = 2**16  # bytes; the most that a lost connection costs
MAX_TEXT = 2**24  # bytes of a server's listing or description
MAX_WAIT = 120  # seconds, the longest pause that a busy server may ask for
MAX_CONNECTIONS = 32  # to one server
BUSY = (408, 429, 500, 502, 503, 504)
EXPECTED = (200, 206, 416)  # the file; the rest of it; no bytes beyond those already here


class OtherFile(Exception):
    """The server's answer differs from the requested file."""


class Client(requests.Session):
    """Connections to servers, shared by threads.

    Failed connections and busy servers are tried again, up to `attempts` times with doubling
    pauses; a server that is silent for `timeout` seconds counts as failed.
    """

    def __init__(self, attempts: int = 5, timeout: float = 60.0, pause: float = 1.0):
        super().__init__()
        self.attempts, self.timeout = attempts, timeout
        # Some servers accept only browsers; compressed transfer would shift the range.
        self.headers.update({"User-Agent": "Mozilla/5.0 (segxai)", "Accept-Encoding": "identity"})
        busy = {"status_forcelist": BUSY, "raise_on_status": False, "retry_after_max": MAX_WAIT}
        patience = Retry(attempts - 1, backoff_factor=pause, **busy)
        for scheme in ("https://", "http://"):
            self.mount(scheme, HTTPAdapter(pool_maxsize=MAX_CONNECTIONS, max_retries=patience))

    def ask(self, url: str, **options) -> requests.Response:
        """Send a request; any other status, or a redirect without a target, is an error."""
        response = self.get(url, timeout=self.timeout, stream=True, **options)
        if response.status_code not in EXPECTED:
            response.close()
            raise requests.HTTPError(response=response)
        return response

    def read(self, url: str, **query) -> bytes:
        """Read a short answer, such as a listing; start again where it breaks off."""
        with explained(url, "correct `source` of the data set if the server has moved"):
            for attempt in range(1, self.attempts + 1):
                content = b""
                try:
                    for chunk in self.ask(url, params=query).iter_content(CHUNK):
                        content += chunk
                        if len(content) > MAX_TEXT:
                            raise OtherFile(f"more than {MAX_TEXT:,} bytes")
                    break
                except ChunkedEncodingError:
                    if attempt == self.attempts:
                        raise
        return content

    def complete(
        self, url: str, part: Path, n_bytes: int | None, received: Callable[[int], None]
    ) -> None:
        """Request the bytes that `part` lacks, again after each answer that breaks off.

        `received` is called with the number of bytes of each piece that arrives.
        """
        failures = 0
        while (start := size_of(part)) < (n_bytes or math.inf):
            with self.ask(url, headers={"Range": f"bytes={start}-"} if start else {}) as response:
                if response.status_code == 416 and n_bytes is None:
                    return  # the checksum decides
                require_rest(response, start, n_bytes)
                try:
                    append(response, part, n_bytes, received)
                    # The end of an answer without a length may go unnoticed.
                    if n_bytes is None or size_of(part) <= start:
                        return
                except requests.RequestException as error:
                    failures = 0 if size_of(part) > start else failures + 1
                    if failures == self.attempts:
                        raise
                    log.info("connection lost (%s); trying again", reason_of(error), extra=SHOWN)


def require_rest(response: requests.Response, start: int, n_bytes: int | None) -> None:
    """Refuse an answer that cannot be the rest of the file, before anything is overwritten."""
    total = response.headers.get("Content-Length", "")
    if response.status_code == 416:
        raise OtherFile(f"no more than {start:,} bytes")
    if response.status_code == 206:
        first, _, total = response.headers.get("Content-Range", "").partition("/")
        if not first.startswith(f"bytes {start}-"):
            raise OtherFile(f"range '{first}' instead of bytes {start}-")
    kind = response.headers.get("Content-Type", "no type").partition(";")[0]
    if n_bytes is None and kind == "text/html":
        raise OtherFile("a page of text/html")
    if n_bytes is not None and total.isdecimal() and int(total) != n_bytes:
        raise OtherFile(f"{int(total):,} bytes of {kind} instead of {n_bytes:,}")


def append(response: requests.Response, part: Path, n_bytes: int | None, received: Callable):
    """Append an answer to `part`; an answer without a range starts it afresh."""
    try:
        with part.open("ab" if response.status_code == 206 else "wb") as file:
            for chunk in response.iter_content(CHUNK):
                file.write(chunk)
                received(len(chunk))
                if file.tell() > (n_bytes or math.inf):
                    break
            # Its final name stands for a complete file.
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(part)
        raise


def reason_of(error: requests.RequestException) -> str:
    """Short reason why a request failed."""
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    # requests wraps errors of urllib3, whose texts begin with the object that raised them.
    cause = error
    while isinstance(cause, Exception) and cause.args:
        cause = getattr(cause, "reason", None) or cause.args[0]
    return str(cause).rpartition("): ")[2] or type(error).__name__


@contextlib.contextmanager
def explained(url: str, remedy: str) -> Iterator[None]:
    """Turn a failed request into one sentence; `remedy` is for when repeating does not help."""
    try:
        yield
    except requests.RequestException as error:
        raise InputError(
            f"{url}: cannot be downloaded ({reason_of(error)}); run the same command again, which "
            f"continues where this one stopped, or {remedy}."
        ) from error
    except OtherFile as other:
        raise InputError(
            f"{url}: is not the expected file ({other}); the server has moved, or a proxy sent "
            f"something else: run the same command again, or {remedy}."
        ) from other


def download(
    url: str, checksum: str, n_bytes: int | None, folder: Path, name: str | None = None, **options
) -> Path:
    """Download a file into `folder`, or take the existing one, and check its content.

    Parameters
    ----------
    checksum
        SHA-256 in hexadecimal, or ``md5:`` and the MD5 where no other is published.
    folder
        An interrupted download stays here as ``<start of checksum>.part`` and is resumed.
    name
        Name of the file; by default the last part of the address.
    **options
        Arguments of :class:`Client`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (name or Path(urlsplit(url).path).name or "archive")
    if not (file.is_file() and has_checksum(file, checksum)):
        part = folder / f"{checksum.rpartition(':')[2][:16]}.part"
        missing = (n_bytes or 0) - size_of(part)
        require_space(folder, missing, f"free some space, or {BY_HAND}")
        meter = byte_meter(missing, file.name)
        with explained(url, BY_HAND), meter as received, Client(**options) as client:
            client.complete(url, part, n_bytes, received)
            accept(part, file, has_checksum(part, checksum))
    return file


def has_checksum(file: Path, checksum: str) -> bool:
    """Whether the content of a file has the SHA-256, or the ``md5:<MD5>``."""
    kind, _, digest = checksum.rpartition(":")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind or "sha256").hexdigest() == digest


def accept(part: Path, file: Path, is_right: bool) -> None:
    """Rename `part` to `file` if its content is correct, else remove it."""
    if not is_right:
        part.unlink()
        raise OtherFile("another checksum")
    file.parent.mkdir(parents=True, exist_ok=True)
    part.replace(file)


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if it is missing."""
    return path.stat().st_size if path.exists() else 0


def readable(n_bytes: int) -> str:
    """Write a size with its unit."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def require_space(folder: Path, n_bytes: int, remedy: str) -> None:
    """Refuse a download that exceeds the free space of `folder`."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise InputError(
            f"{folder}: {readable(n_bytes)} are still to be downloaded but only {readable(free)} "
            f"of the disk are free; {remedy}, then run the same command again."
        )


@contextlib.contextmanager
def byte_meter(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Log the bytes of all threads every ten seconds; stop the threads after the block."""
    done, last, ended = 0, time.monotonic(), False

    def received(n_bytes: int) -> None:
        nonlocal done, last
        if ended:
            raise CancelledError
        done += n_bytes
        if time.monotonic() - last > 10:
            last = time.monotonic()
            of_all = f" of {readable(total)}" if total > 0 else ""
            log.info("%s: %s%s received", what, readable(done), of_all, extra=SHOWN)

    try:
        yield received
    finally:
        ended = True


def published_file(record: str, url: str, folder: Path, **options) -> dict:
    """Read the ``name``, ``bytes`` and ``md5`` of the file at `url` from its Zenodo record.

    `record` is its address in Zenodo's API; one part of the path of `url` is the file's name. The
    answer stays in `folder` and is reused once the file exists: a rerun needs no network.
    """
    names = unquote(urlsplit(url).path).split("/")
    kept = folder / f"record-{Path(urlsplit(record).path).name}.json"
    if not (kept.is_file() and any((folder / name).is_file() for name in names)):
        with atomic_path(kept) as temporary:
            temporary.write_bytes(Client(**options).read(record))
    try:
        files = {file["key"]: file for file in json.loads(kept.read_bytes())["files"]}
        (name,) = files.keys() & set(names)
        md5 = re.fullmatch(r"md5:([0-9a-f]{32})", files[name]["checksum"])[1]
        return {"name": name, "bytes": int(files[name]["size"]), "md5": md5}
    except (LookupError, TypeError, ValueError):
        raise InputError(
            f"{record}: does not give the MD5 of {url}; check `url` and `checksum_from` of the "
            f"data set, or {BY_HAND}."
        ) from None
