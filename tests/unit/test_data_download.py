"""Downloads of files and of a bucket's objects: checked, continued, and refused in one sentence."""

import hashlib
import io
import json
import runpy
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from segxai.fetch import bucket, http
from segxai.job.log import InputError, describe_os_error
from tests.unit.file_server import PAGE, Server, serve

NAME, PATH = "uuid-0/a.dcm", "/uuid-0/a.dcm"
CONTENT = np.random.default_rng(0).bytes(1_800_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
WAYS = ["file", "bucket"]


@pytest.fixture
def server():
    """Serve one file, which is also the only object of a series."""
    with serve(Server(files={NAME: CONTENT})) as state:
        yield state


def fetch(way: str, server: Server, folder: Path, n_bytes=1_800_000, **options) -> Path:
    """Download the file by itself, or as an object of the bucket."""
    options = {"pause": 0.01, "timeout": 5.0} | options
    if way == "file":
        return http.download(server.address + PATH, SHA256, n_bytes, folder, **options)
    server.etags[NAME] = MD5
    (folder / "raw").mkdir(parents=True, exist_ok=True)
    table = folder / "series.csv"
    table.write_text(f"SeriesInstanceUID,crdc_series_uuid,bytes\n1.2.0,uuid-0,{len(CONTENT)}\n")
    server.listing = lambda *_: listing_of(CONTENT)
    bucket.fetch_series(
        server.address, ["1.2.0"], [table], folder / "raw", folder / "parts", 2, **options
    )
    return folder / "raw/1.2.0/a.dcm"


def listing_of(content: bytes) -> bytes:
    """The listing that publishes size and MD5 of the file, whatever is answered later."""
    return Server(files={NAME: content}).listing("uuid-0/", "0")


def parts_of(folder: Path) -> list[Path]:
    """List what has arrived in part."""
    return list(folder.rglob("*.part"))


CUT = {"cut": 1_200_000}
RECOVERED = {  # fault; number of requests for the file
    "nothing": ([], {}, 1),
    "cut once": ([CUT], {}, 2),
    "cut twice": ([CUT, {"cut": 300_000}], {}, 3),
    "cut more often than anything is tried": ([{"cut": 200_000}] * 6, {}, 7),
    "cut unnoticed": ([{"cut": 18 * http.CHUNK, "headers": {"Content-Length": "many"}}], {}, 2),
    "cut before the first byte": ([{"cut": 0}, {"cut": 0}], {}, 3),
    "busy": ([{"status": 503}, {"status": 429}, {"status": 408}], {}, 4),
    "busy after a cut": ([CUT, {"status": 500}], {}, 3),
    "wait as long as the server says": ([{"status": 503, "headers": {"Retry-After": "1"}}], {}, 2),
    "silent": ([{"silence": 1.5}], {"timeout": 0.3}, 2),
    "silent in the middle": ([{"stall": 1_200_000}], {"timeout": 0.3}, 2),
    "no ranges": ([CUT, {"ranges": False}], {}, 2),
    "moved": ([{"status": 302, "headers": {"Location": f"/elsewhere{PATH}"}}], {}, 2),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", RECOVERED)
def test_what_helps_itself(server, tmp_path, way, case):
    """After every temporary fault the file is complete, and only missing bytes were requested.

    Nothing but the file is left, and a second call does not ask for it.
    """
    faults, options, n_requests = RECOVERED[case]
    server.fail(PATH, *faults)
    assert fetch(way, server, tmp_path, **options).read_bytes() == CONTENT
    server.resume.set()
    assert len(server.names()) == n_requests and parts_of(tmp_path) == []
    bytes_kept = [fault.get("cut", fault.get("stall", 0)) // http.CHUNK for fault in faults]
    starts = np.cumsum(bytes_kept)[: n_requests - 1] * http.CHUNK
    assert server.starts(NAME) == [start for start in starts if start]
    fetch(way, server, tmp_path)
    assert len(server.names()) == n_requests


FLIPPED = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
UNANNOUNCED = {"body": CONTENT * 2, "headers": {"Content-Length": "many"}, "ranges": False}
REFUSED = {  # permanent fault; key words of the sentence; number of attempts
    "missing": ({"status": 404}, "HTTP status 404", 1),
    "forbidden": ({"status": 403}, "HTTP status 403", 1),
    "redirected to nowhere": ({"status": 301}, "HTTP status 301", 1),
    "redirected to itself": ({"status": 301, "headers": {"Location": PATH}}, "HTTP status 301", 31),
    "busy for ever": ({"status": 503}, "HTTP status 503", 3),
    "silent for ever": ({"silence": 0.5}, "timed out", 3),
    "cut at once": ({"cut": 0}, "Connection broken", 3),
    "a page": (PAGE, "49 bytes of text/html instead of 1,800,000|no more than [1-9]", 1),
    "a flipped byte": ({"body": FLIPPED}, "not the expected file", 1),
    "too short": ({"body": CONTENT[:-1]}, "1,799,999 bytes of .* instead of 1,800,000", 1),
    "too long": ({"body": CONTENT * 2}, "3,600,000 bytes of .* instead of 1,800,000", 1),
    "too long, unannounced": (UNANNOUNCED, "not the expected file", 1),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("half", [False, True], ids=["from the start", "half is here"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(server, tmp_path, way, half, case):
    """One sentence names address, reason and remedy; what had arrived is kept and continued."""
    fault, reason, n_requests = REFUSED[case]
    if half:
        server.fail(PATH, CUT, {"status": 404})
        with pytest.raises(InputError, match="404"):
            fetch(way, server, tmp_path)
        server.asked.clear()
    kept = [part.read_bytes() for part in parts_of(tmp_path)]
    assert [len(part) > 10**6 for part in kept] == [True] * half
    server.fail(PATH, fault, always=True)
    options = {"attempts": 3, "timeout": 0.2 if "silence" in fault else 5.0}
    sentence = rf"{PATH}: .*({reason}).*run the same command again.*`path`"
    with pytest.raises(InputError, match=sentence) as caught:
        fetch(way, server, tmp_path, **options)
    assert "\n" not in str(caught.value)
    assert len(server.names()) == n_requests
    arrives = case in ("a flipped byte", "too long, unannounced")
    left = [part.read_bytes() for part in parts_of(tmp_path)]
    assert [content for content in left if content] == ([] if arrives else kept)
    server.faults.clear()
    server.asked.clear()
    assert fetch(way, server, tmp_path).read_bytes() == CONTENT
    assert server.starts(NAME) == [len(part) for part in kept if not arrives]


@pytest.mark.parametrize(
    ("address", "reason"),
    [("http://127.0.0.1:9", "Connection refused"), ("http://bucket.invalid", "Failed to resolve")],
)
@pytest.mark.parametrize("way", WAYS)
def test_unreachable_server_is_one_sentence(server, tmp_path, way, address, reason):
    """A refused connection and an unknown name are reported after the allowed attempts."""
    server.address = address
    with pytest.raises(InputError, match=rf"{address}.* \({reason}|{address}.*{reason}"):
        fetch(way, server, tmp_path, attempts=2)


@pytest.mark.parametrize("way", WAYS)
def test_another_range_is_not_appended(server, tmp_path, way):
    """An answer that begins at another byte than requested is refused, and the part stays."""
    server.fail(PATH, CUT, {"headers": {"Content-Range": "bytes 7-1799999/1800000"}})
    with pytest.raises(InputError, match="range 'bytes 7-"):
        fetch(way, server, tmp_path)
    (part,) = parts_of(tmp_path)
    assert part.read_bytes() == CONTENT[: part.stat().st_size]


CHILD = """
import json, sys
from pathlib import Path
from tests.unit import test_data_download as here
way, address, folder = sys.argv[1:]
here.fetch(way, here.Server(address=address), Path(folder))
"""


@pytest.mark.parametrize("way", WAYS)
def test_killed_download_goes_on(server, tmp_path, way, checkout):
    """After kill −9 within a file, the next run requests the byte after the last one."""
    server.fail(PATH, {"stall": 1_200_000})
    server.listing = lambda *_: listing_of(CONTENT)
    arguments = [sys.executable, "-c", CHILD, way, server.address, str(tmp_path)]
    child = subprocess.Popen(arguments, cwd=checkout)
    try:
        end = time.monotonic() + 60
        while not any(part.stat().st_size > 10**6 for part in parts_of(tmp_path)):
            assert time.monotonic() < end and child.poll() is None
            time.sleep(0.01)
    finally:
        child.kill()
        assert child.wait() == -signal.SIGKILL
        server.resume.set()
    (part,) = parts_of(tmp_path)
    kept = part.stat().st_size
    server.asked.clear()
    assert fetch(way, server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [(PATH, f"bytes={kept}-")]


@pytest.fixture
def small_disk(tmp_path):
    """Mount a disk of 1 MiB; skip where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("way", WAYS)
def test_too_small_a_disk(server, small_disk, monkeypatch, way):
    """A full disk is reported before the first byte; if it fills up later, the part stays."""
    with pytest.raises(InputError, match=r"1\.8 MB are still .* only 1\.\d MB .*run the same"):
        fetch(way, server, small_disk)
    assert server.names() == []
    monkeypatch.setattr(http, "require_space", lambda *_: None)  # the room was there before
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(way, server, small_disk)
    (part,) = parts_of(small_disk)
    sentence = describe_os_error(caught.value)
    assert str(part) in sentence and "free some disk space" in sentence
    kept = part.stat().st_size
    assert kept > 0
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    assert fetch(way, server, small_disk).read_bytes() == CONTENT
    assert server.starts(NAME) == [kept]


def test_requests_look_like_a_browser(server, tmp_path):
    """Requests name a browser, since Harvard's Dataverse refuses Python, and no compression.

    The bytes of a compressed transfer would not be those that a range counts.
    """
    fetch("file", server, tmp_path)
    ((agent, encoding),) = server.agents
    assert agent.startswith("Mozilla/") and encoding == "identity"


def test_progress_is_logged(server, tmp_path, monkeypatch, caplog):
    """During a long download, the log reports the received bytes."""
    caplog.set_level("INFO", "segxai")
    seconds = iter(range(0, 10**6, 4))
    monkeypatch.setattr(http.time, "monotonic", lambda: next(seconds))
    fetch("file", server, tmp_path)
    assert "a.dcm: 0.3 MB of 1.8 MB received" in caplog.text


def test_md5_and_a_name_of_our_own(server, tmp_path):
    """A file may be checked by its MD5 and called other than its address ends."""
    url, digest = f"{server.address}{PATH}?version=1", f"md5:{MD5}"
    file = http.download(url, digest, None, tmp_path, name="images.zip")
    assert file == tmp_path / "images.zip" and file.read_bytes() == CONTENT
    with pytest.raises(InputError, match="is not the expected file"):
        http.download(url, f"md5:{MD5[::-1]}", None, tmp_path, name="other.zip")
    assert not (tmp_path / "other.zip").exists()


def test_unknown_size_is_continued_too(server, tmp_path):
    """Without a size: a cut is continued, a page is refused, and a complete part is enough."""
    server.fail(PATH, CUT, PAGE | {"ranges": False})
    with pytest.raises(InputError, match=r"not the expected file \(a page of text/html"):
        fetch("file", server, tmp_path, n_bytes=None)
    (part,) = parts_of(tmp_path)
    kept = part.stat().st_size
    file = fetch("file", server, tmp_path, n_bytes=None)
    assert file.read_bytes() == CONTENT and server.starts(NAME) == [kept, kept]
    file.rename(part)
    assert fetch("file", server, tmp_path, n_bytes=None).read_bytes() == CONTENT
    assert server.starts(NAME)[2:] == [len(CONTENT)]  # answered 416


RECORD = {"files": [{"key": "other.zip"}, {"key": "a b.zip", "size": 3_000_000}]}
RECORD["files"][1]["checksum"] = f"md5:{MD5}"
FILE = "https://zenodo.org/api/records/1/files/a%20b.zip/content"


def published(server: Server, folder: Path, record: object = RECORD, file: str = FILE) -> dict:
    """Ask the server, as if it were Zenodo, for the facts of `file`."""
    content = record if isinstance(record, bytes) else json.dumps(record).encode()
    server.files["api/records/1"] = content
    return http.published_file(f"{server.address}/api/records/1", file, folder, pause=0.01)


def test_checksum_comes_from_the_record(server, tmp_path):
    """Name, size and MD5 come from the record, read only once per file."""
    facts = {"name": "a b.zip", "bytes": 3_000_000, "md5": MD5}
    server.fail("/api/records/1", {"status": 503})
    for n_requests in (2, 3, 3):
        assert published(server, tmp_path) == facts and len(server.asked) == n_requests
        if n_requests == 3:
            (tmp_path / "a b.zip").touch()
    with pytest.raises(InputError, match="does not give the MD5"):
        published(server, tmp_path, file=FILE.replace("a%20b", "c"))


@pytest.mark.parametrize(
    "record",
    [
        PAGE["body"],
        b"\xff",
        [],
        {"files": {}},
        {"files": [{"key": "other.zip"}]},
        {"files": [{"key": "a b.zip", "size": 1}]},
        {"files": [{"key": "a b.zip", "size": 1, "checksum": "sha1:00"}]},
        {"files": [{"key": "a b.zip", "size": None, "checksum": f"md5:{MD5}"}]},
    ],
)
def test_record_without_the_checksum_is_one_sentence(server, tmp_path, record):
    """A page, another document or a record without this file's MD5 names the record's address."""
    with pytest.raises(InputError, match=r"^http://127\.0\.0\.1:\d+/api/records/1: .*MD5"):
        published(server, tmp_path, record)


def test_missing_record_is_one_sentence(server, tmp_path):
    """A missing record is reported with its status."""
    server.fail("/api/records/1", {"status": 404})
    with pytest.raises(InputError, match=r"records/1: cannot be downloaded \(HTTP status 404\)"):
        published(server, tmp_path)


@pytest.mark.parametrize("given", [{}, {"bytes": 1}])
def test_script_writes_the_published_checksum_to_the_receipt(server, tmp_path, given, checkout):
    """An archive is checked by the record's MD5; another size than configured is refused."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name in ("labels.csv", "images/a.png", "masks/a.png"):
            opened.writestr(name, "image_id,label\na,lesion\n")
    content = archive.getvalue()
    md5 = hashlib.md5(content).hexdigest()
    facts = {"key": "a.zip", "size": len(content), "checksum": f"md5:{md5}"}
    server.files["api/records/1"] = json.dumps({"files": [facts]}).encode()
    server.files["files/a.zip/get"] = content
    url, record = f"{server.address}/files/a.zip/get", f"{server.address}/api/records/1"
    receipt = tmp_path / "raw" / "lesions.json"
    arguments = {
        "reader": "phantom_lesions",
        "path": None,
        "source": {"url": url, "checksum_from": record} | given,
        "receipt": receipt,
    }
    main = runpy.run_path(str(checkout / "scripts" / "fetch_dataset.py"))["main"]
    if given:
        with pytest.raises(InputError, match=r"gives \d+ bytes for a\.zip instead of 1"):
            main(**arguments)
        assert not receipt.exists()
        return
    main(**arguments)
    # Now the archive is here: a rerun does not need the server.
    server.files.clear()
    receipt.unlink()
    main(**arguments)
    written = json.loads(receipt.read_text())
    assert written["md5"] == md5 and written["bytes"] == len(content)
    assert written["url"] == url and written["checksum_from"] == record
