"""Original files by HTTP: asked for patiently, checked and resumed."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import requests
from tqdm import tqdm

from segxai.fetch.archives import BY_HAND
from segxai.job.files import atomic_path
from segxai.job.log import SHOWN, InputError, log

CHUNK = 2**16  # bytes, the most that a lost connection costs again
MAX_TEXT = 2**24  # bytes of a server's listing or description
Result = TypeVar("Result")


class OtherFile(Exception):
    """The server answers with something else than the file that was asked for."""


@dataclass(frozen=True)
class Client:
    """How patiently a server is asked."""

    attempts: int = 5  # failures in a row without a new byte before it gives up
    timeout: float = 60.0  # longest silence of the server, in seconds
    pause: float = 1.0  # seconds before the second attempt; doubled before each further one

    def open(self, url: str, headers: dict | None = None, **query) -> requests.Response:
        """Send one request; the caller reads the body and closes the response."""
        # Some servers refuse all but browsers; compressed transfer would shift the range.
        always = {"User-Agent": "Mozilla/5.0 (segxai)", "Accept-Encoding": "identity"}
        headers = always | (headers or {})
        return requests.get(url, headers=headers, params=query, stream=True, timeout=self.timeout)

    def retry(self, action: Callable[[], Result], arrived: Callable[[], int] = lambda: 0) -> Result:
        """Repeat `action` while its failures are temporary; new bytes restore all patience."""
        failures = 0
        while True:
            before = arrived()
            try:
                return action()
            except requests.RequestException as error:
                failures = 1 if arrived() > before else failures + 1
                if not is_temporary(error) or failures >= self.attempts:
                    raise
                log.info("connection lost (%s); trying again", reason_of(error), extra=SHOWN)
                time.sleep(self.pause * 2 ** (failures - 1))

    def read_text(self, url: str, **query) -> str:
        """Read a short text in UTF-8, such as a listing."""

        def ask() -> bytes:
            content = b""
            with self.open(url, **query) as response:
                require_success(response)
                for chunk in response.iter_content(CHUNK):
                    content += chunk
                    if len(content) > MAX_TEXT:
                        raise OtherFile(f"more than {MAX_TEXT:,} bytes")
            return content

        try:
            return self.retry(ask).decode("utf-8")
        except requests.RequestException as error:
            raise InputError(
                f"{url}: does not answer ({reason_of(error)}); run the same command again, which "
                "keeps what is here, or correct `source` of the data set if the server has moved."
            ) from error
        except (OtherFile, UnicodeDecodeError) as other:
            raise InputError(
                f"{url}: answers with something else than a text ({other}); correct `source` of "
                "the data set if the server has moved."
            ) from other


def require_success(response: requests.Response) -> None:
    """Raise for any status but 200 and 206, also for a redirect that leads nowhere."""
    if response.status_code not in (requests.codes.ok, requests.codes.partial_content):
        raise requests.HTTPError(f"HTTP status {response.status_code}", response=response)


def is_temporary(error: requests.RequestException) -> bool:
    """Whether asking again may help: lost connections and busy servers, not wrong addresses."""
    if error.response is not None:
        return error.response.status_code >= 500 or error.response.status_code in (408, 429)
    return not isinstance(error, (requests.exceptions.SSLError, ValueError))


def reason_of(error: requests.RequestException) -> str:
    """Say in a few words why a request failed."""
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    # requests wraps the error of urllib3, whose text begins with the object that raised it.
    cause = error.args[0] if error.args else type(error).__name__
    cause = getattr(cause, "reason", cause)
    text = cause.args[0] if getattr(cause, "args", ()) else cause
    return str(text).rpartition("): ")[2]


def download(
    url: str, checksum: str, n_bytes: int | None, folder: Path, name: str | None = None, **options
) -> Path:
    """Download a file into `folder`, or take the one that is there, and check its content.

    Parameters
    ----------
    checksum
        SHA-256 in hexadecimal, or ``md5:`` and the MD5 where no other is published.
    folder
        An interrupted download stays here as ``<start of checksum>.part`` and is continued.
    name
        Of the file; by default the last part of the address.
    **options
        Of :class:`Client`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (name or Path(urlsplit(url).path).name or "archive")
    kind, _, digest = checksum.rpartition(":")
    checksum = f"{kind or 'sha256'}:{digest}"
    if not (file.is_file() and has_checksum(file, checksum)):
        part = folder / f"{digest[:16]}.part"
        missing = (n_bytes or 0) - size_of(part)
        require_space(folder, missing)
        with byte_meter(missing if n_bytes else None, file.name) as received:
            fetch(url, checksum, n_bytes, part, file, Client(**options), received)
    return file


def has_checksum(file: Path, checksum: str) -> bool:
    """Whether the content of a file has the checksum ``<kind>:<hexadecimal>``."""
    kind, _, digest = checksum.partition(":")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest() == digest


def fetch(
    url: str,
    checksum: str,
    n_bytes: int | None,
    part: Path,
    file: Path,
    client: Client,
    received: Callable[[int], None],
    matches: Callable[[Path, str], bool] = has_checksum,
    remedy: str = BY_HAND,
) -> None:
    """Complete `part`, check it and rename it to `file`, which is whole from the first moment.

    Parameters
    ----------
    checksum : str
        What `matches` compares with: its kind, a colon, its value.
    received : callable
        Is told the number of bytes of each piece that arrives, or is lost again (negative).
    remedy : str
        What to do if running again does not help.
    """
    try:
        complete(url, part, n_bytes, client, received)
        if not matches(part, checksum):
            part.unlink()
            kind, _, digest = checksum.partition(":")
            raise OtherFile(f"{kind} {digest[:16]}…")
    except requests.RequestException as error:
        raise InputError(
            f"{url}: cannot be downloaded ({reason_of(error)}); run the same command again, which "
            f"continues after the {size_of(part):,} bytes that are here, or {remedy}."
        ) from error
    except OtherFile as other:
        raise InputError(
            f"{url}: is not the expected file ({other}); the server has moved, or a proxy sent "
            f"something else: run the same command again, or {remedy}."
        ) from other
    file.parent.mkdir(parents=True, exist_ok=True)
    part.replace(file)


def complete(
    url: str, part: Path, n_bytes: int | None, client: Client, received: Callable[[int], None]
) -> None:
    """Ask for the bytes that `part` lacks until it is complete, in as many answers as it takes."""

    def ask() -> None:
        start = size_of(part)
        if n_bytes is not None and start >= n_bytes:
            return
        with client.open(url, {"Range": f"bytes={start}-"} if start else {}) as response:
            # Asked for the rest of a file that is here in full: its checksum will tell.
            if n_bytes is None and start and response.status_code == 416:
                return
            require_file(response, start, n_bytes)
            # A server without ranges answers 200 and starts afresh.
            resumed = response.status_code == requests.codes.partial_content
            received(0 if resumed else -start)
            with part.open("ab" if resumed else "wb") as file:
                for chunk in response.iter_content(CHUNK):
                    file.write(chunk)
                    received(len(chunk))
                    if n_bytes is not None and file.tell() > n_bytes:
                        break
                # The name that it gets says for good that it is whole.
                file.flush()
                os.fsync(file.fileno())

    try:
        client.retry(ask, lambda: size_of(part))
        part.touch()
    except requests.RequestException:
        raise
    except OSError as error:
        error.filename = str(part)
        raise


def require_file(response: requests.Response, start: int, n_bytes: int | None) -> None:
    """Refuse an answer that cannot be the rest of the file, before anything is overwritten."""
    require_success(response)
    headers = response.headers
    total = headers.get("Content-Length", "")
    if response.status_code == requests.codes.partial_content:
        first, _, total = headers.get("Content-Range", "").partition("/")
        if first.split("-")[0] != f"bytes {start}":
            raise OtherFile(f"range '{first}' instead of bytes {start}-")
    kind = headers.get("Content-Type", "no type").partition(";")[0]
    if n_bytes is None and kind == "text/html":
        raise OtherFile("a page of text/html")
    if n_bytes is not None and total.isdecimal() and int(total) != n_bytes:
        raise OtherFile(f"{int(total):,} bytes of {kind} instead of {n_bytes:,}")


def size_of(path: Path) -> int:
    """Size of a file in bytes; 0 if there is none."""
    return path.stat().st_size if path.exists() else 0


def readable(n_bytes: int) -> str:
    """Write a size as people do."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


def require_space(
    folder: Path, n_bytes: int, remedy: str = f"free some space, or {BY_HAND}"
) -> None:
    """Refuse to start what the disk of `folder` cannot hold."""
    free = shutil.disk_usage(folder).free
    if free < n_bytes:
        raise InputError(
            f"{folder}: {readable(n_bytes)} are still to be downloaded but only {readable(free)} "
            f"of the disk are free; {remedy}, then run the same command again."
        )


@contextlib.contextmanager
def byte_meter(total: int | None, what: str) -> Iterator[Callable[[int], None]]:
    """Count the bytes that any thread receives: a bar on a terminal, else a line now and then."""
    lock, done, last = threading.Lock(), 0, time.monotonic()
    of_all = f" of {readable(total)}" if total else ""

    def received(n_bytes: int) -> None:
        nonlocal done, last
        with lock:
            done += n_bytes
            bar.update(n_bytes)
            if bar.disable and time.monotonic() - last > 10:
                last = time.monotonic()
                log.info("%s: %s%s received", what, readable(done), of_all, extra=SHOWN)

    options = {"unit": "B", "unit_scale": True, "leave": False, "disable": not sys.stderr.isatty()}
    with tqdm(total=total, desc=what, **options) as bar:
        yield received


def published_file(record: str, url: str, folder: Path, **options) -> dict:
    """Ask a Zenodo record for the name, size and MD5 of its file at `url`.

    The answer is kept in `folder` as ``published.json`` and asked for again until the file is
    there: a rerun needs no network. `record` is its address in Zenodo's API; one part of the path
    of `url` is the file's name. The facts are ``name``, ``bytes`` and ``md5``.
    """
    kept = folder / "published.json"
    with contextlib.suppress(FileNotFoundError, LookupError, TypeError, ValueError):
        facts = json.loads(kept.read_text(encoding="utf-8"))
        if facts.pop("url") == url and (folder / facts["name"]).is_file():
            return facts
    text = Client(**options).read_text(record)
    try:
        files = {file["key"]: file for file in json.loads(text)["files"]}
        (name,) = files.keys() & set(unquote(urlsplit(url).path).split("/"))
        md5 = re.fullmatch(r"md5:([0-9a-f]{32})", files[name]["checksum"])[1]
        facts = {"name": name, "bytes": int(files[name]["size"]), "md5": md5}
    except (LookupError, TypeError, ValueError):
        raise InputError(
            f"{record}: does not tell the MD5 of {url}; check `url` and `checksum_from` of the "
            f"data set, or {BY_HAND}."
        ) from None
    with atomic_path(kept) as temporary:
        temporary.write_text(json.dumps(facts | {"url": url}), encoding="utf-8")
    return facts
