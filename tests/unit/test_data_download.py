"""Downloads are checked and continued, archives unpacked without trusting them."""

import contextlib
import gzip
import hashlib
import io
import json
import re
import runpy
import stat
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests

from segxai.fetch.archives import extract, fresh_folder
from segxai.fetch.http import download, published_file
from segxai.job.log import InputError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Server:
    """What the test server does, and what it was asked for."""

    address: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    statuses: list[int] = field(default_factory=list)  # answered first, one request each
    drops: list[int] = field(default_factory=list)  # bytes sent before the connection is cut
    silence: float = 0.0  # seconds before the first answer only
    headers: dict[str, str] = field(
        default_factory=dict
    )  # sent, or sent in place of the right ones
    asked: list[str | None] = field(default_factory=list)  # Range header of each request


@pytest.fixture
def server():
    """Serve `Server.content` on a local port, with the faults that the test asks for."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append(self.headers["Range"])
            if state.silence:
                pause, state.silence = state.silence, 0
                time.sleep(pause)
                return
            if state.statuses:
                self.send_error(state.statuses.pop(0))
                return
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
            start = int(asked[1]) if asked and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            headers = {"Content-Length": str(len(body))}
            if start:
                total = len(state.content)
                headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
            for name, value in (headers | state.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: state.drops.pop(0)] if state.drops else body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.address = f"http://127.0.0.1:{http.server_port}/data.zip"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()


def fetch(server: Server, folder: Path, sha256: str = SHA256, **options) -> Path:
    options = {"pause": 0.01, "timeout": 5.0} | options
    return download(server.address, sha256, len(CONTENT), folder, **options)


def test_whole_file_in_one_go(server, tmp_path):
    """A healthy download is the file, asked for once without a range, and leaves nothing else."""
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_present_file_is_not_asked_for_again(server, tmp_path):
    """A file that is already there with the right checksum needs no network."""
    fetch(server, tmp_path)
    fetch(server, tmp_path)
    assert len(server.asked) == 1


def test_dropped_connections_are_continued(server, tmp_path):
    """After each cut the request starts at the byte that is missing, and the file is whole."""
    server.drops = [1_200_000, 500_000]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    starts = [int(asked[6:-1]) for asked in server.asked[1:]]
    assert len(starts) == 2 and 0 < starts[0] <= 1_200_000
    assert starts[0] < starts[1] <= 1_700_000


def test_md5_and_a_name_of_our_own(server, tmp_path):
    """A file may be checked by its MD5 and called other than its address ends."""
    digest = hashlib.md5(CONTENT).hexdigest()
    file = fetch(server, tmp_path, f"md5:{digest}", name="images.zip")
    assert file == tmp_path / "images.zip" and file.read_bytes() == CONTENT
    file.unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(InputError, match=f"is not the expected file \\(md5 {digest[:16]}"):
        fetch(server, tmp_path, f"md5:{digest}", name="images.zip")


def test_unknown_size_is_continued_too(server, tmp_path):
    """Without a published size a cut download is continued, and a complete part is enough."""
    server.drops = [1_200_000]
    options = {"pause": 0.01, "timeout": 5.0}
    assert download(server.address, SHA256, None, tmp_path, **options).read_bytes() == CONTENT
    assert len(server.asked) == 2
    (tmp_path / "data.zip").rename(tmp_path / f"{SHA256[:16]}.part")
    server.statuses = [416]
    assert download(server.address, SHA256, None, tmp_path, **options).read_bytes() == CONTENT


def test_servers_see_a_browser(server, tmp_path, monkeypatch):
    """Requests name a browser: Harvard's Dataverse refuses Python's own name."""
    seen, get = [], requests.get
    monkeypatch.setattr(
        requests, "get", lambda url, headers, **rest: seen.append(headers) or get(url, **rest)
    )
    fetch(server, tmp_path)
    assert seen[0]["User-Agent"].startswith("Mozilla/")


def test_interrupted_run_is_continued_by_the_next(server, tmp_path):
    """A failed run keeps its bytes and says so; the next run asks only for the rest."""
    server.drops = [1_200_000]
    with pytest.raises(InputError, match=r"continues after the [1-9][\d,]+ bytes"):
        fetch(server, tmp_path, attempts=1)
    (part,) = tmp_path.glob("*.part")
    kept = part.stat().st_size
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={kept}-"
    assert not list(tmp_path.glob("*.part"))


def test_server_without_ranges_starts_afresh(server, tmp_path):
    """Where the server ignores the range, the second answer replaces the first, not follows it."""
    server.ranges, server.drops = False, [1_200_000]
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_busy_server_is_asked_again(server, tmp_path):
    """A server that answers 503 twice still delivers at the third request."""
    server.statuses = [503, 503]
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_silent_server_is_left_and_asked_again(server, tmp_path):
    """A server silent for longer than the timeout does not block the download."""
    server.silence = 1.5
    assert fetch(server, tmp_path, timeout=0.3).read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_missing_file_is_one_sentence(server, tmp_path):
    """A 404 names the address, the status and the way by hand, and is not asked for again."""
    server.statuses = [404] * 9
    with pytest.raises(InputError, match=r"data\.zip: .*HTTP status 404.*`path`"):
        fetch(server, tmp_path)
    assert len(server.asked) == 1


def test_unreachable_server_is_one_sentence(server, tmp_path):
    """A refused connection ends in one sentence after the allowed attempts."""
    server.address = "http://127.0.0.1:9/data.zip"
    with pytest.raises(InputError, match=r"cannot be downloaded"):
        fetch(server, tmp_path, attempts=2)


@pytest.mark.parametrize("content", [b"<html>log in</html>", CONTENT[:-1] + b"!", CONTENT * 2])
def test_other_content_is_refused(server, tmp_path, content):
    """A page, a changed byte or a longer file fail the checksum and leave no file behind."""
    server.content = content
    with pytest.raises(InputError, match="is not the expected file"):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())


def half_downloaded(server: Server, folder: Path, n_bytes: int | None = len(CONTENT)) -> Path:
    """Break a download off in the middle; return what is there of it."""
    server.drops = [1_200_000]
    with pytest.raises(InputError):
        download(server.address, SHA256, n_bytes, folder, attempts=1)
    (part,) = folder.glob("*.part")
    assert 0 < part.stat().st_size <= 1_200_000
    return part


@pytest.mark.parametrize("n_bytes", [None, len(CONTENT)])
def test_a_page_does_not_replace_what_is_here(server, tmp_path, n_bytes):
    """A moved server that answers 200 and a page costs none of the bytes that had arrived."""
    part = half_downloaded(server, tmp_path, n_bytes)
    kept = part.read_bytes()
    server.ranges, server.content = False, b"<html>moved</html>"
    server.headers = {"Content-Type": "text/html; charset=utf-8"}
    with pytest.raises(InputError, match=r"not the expected file \(.*text/html"):
        download(server.address, SHA256, n_bytes, tmp_path)
    assert part.read_bytes() == kept
    server.ranges, server.content, server.headers = True, CONTENT, {}
    assert download(server.address, SHA256, n_bytes, tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == f"bytes={len(kept)}-"


def test_another_range_is_not_appended(server, tmp_path):
    """An answer that begins at another byte than asked for is refused, and the part stays."""
    part = half_downloaded(server, tmp_path)
    kept = part.read_bytes()
    server.headers = {"Content-Range": f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"}
    with pytest.raises(InputError, match="range 'bytes 7-"):
        fetch(server, tmp_path)
    assert part.read_bytes() == kept


def test_redirect_to_nowhere_is_no_file(server, tmp_path):
    """A 301 that does not say where to is an error, not content."""
    server.statuses = [301]
    with pytest.raises(InputError, match="HTTP status 301"):
        fetch(server, tmp_path)
    assert not list(tmp_path.iterdir())


def test_too_small_a_disk_is_said_first(server, tmp_path):
    """A file larger than the free disk is refused before the server is asked."""
    with pytest.raises(InputError, match=r"GB are still to be downloaded but only .* are free"):
        download(server.address, SHA256, 2**60, tmp_path)
    assert server.asked == []


MD5 = hashlib.md5(CONTENT).hexdigest()
RECORD = {"files": [{"key": "other.zip"}, {"key": "a b.zip", "size": 3_000_000}]}
RECORD["files"][1]["checksum"] = f"md5:{MD5}"
FILE = "https://zenodo.org/api/records/1/files/a%20b.zip/content"


def published(server: Server, folder: Path, record: object = RECORD) -> dict:
    """Ask the server, as if it were Zenodo, for the facts of `FILE`."""
    server.content = record if isinstance(record, bytes) else json.dumps(record).encode()
    folder.mkdir(exist_ok=True)
    return published_file(server.address, FILE, folder, pause=0.01)


def test_checksum_is_asked_from_the_record(server, tmp_path):
    """Name, size and MD5 come from the record; once the file is here it is not asked again."""
    facts = {"name": "a b.zip", "bytes": 3_000_000, "md5": MD5}
    server.statuses = [503]
    assert published(server, tmp_path) == facts and len(server.asked) == 2
    assert published(server, tmp_path) == facts and len(server.asked) == 3
    (tmp_path / "a b.zip").touch()
    assert published(server, tmp_path) == facts and len(server.asked) == 3
    with pytest.raises(InputError, match="does not tell the MD5"):
        published_file(server.address, FILE.replace("a%20b", "c"), tmp_path)


@pytest.mark.parametrize(
    "record",
    [
        b"<html>moved</html>",
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
    with pytest.raises(InputError, match=r"^http://127\.0\.0\.1:\d+/data\.zip: .*(MD5|text)"):
        published(server, tmp_path, record)


def test_missing_record_is_one_sentence(server, tmp_path):
    """A record that is gone is said with its status."""
    server.statuses = [404]
    with pytest.raises(InputError, match=r"does not answer \(HTTP status 404\)"):
        published(server, tmp_path)


@pytest.mark.parametrize("given", [{}, {"bytes": 1}])
def test_script_writes_the_asked_checksum_to_the_receipt(tmp_path, given, checkout):
    """An archive is checked by the record's MD5; another size than configured is refused."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name in ("labels.csv", "images/a.png", "masks/a.png"):
            opened.writestr(name, "image_id,label\na,lesion\n")
    content = archive.getvalue()
    facts = {"key": "a.zip", "size": len(content), "checksum": f"md5:{md5(content)}"}
    answers = {"/records/1": json.dumps({"files": [facts]}).encode(), "/files/a.zip/get": content}
    with pages(answers) as address:
        url, record = f"{address}/files/a.zip/get", f"{address}/records/1"
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
    # The server is gone, the archive is here: a rerun needs neither.
    receipt.unlink()
    main(**arguments)
    written = json.loads(receipt.read_text())
    assert written["md5"] == md5(content) and written["bytes"] == len(content)
    assert written["url"] == url and written["checksum_from"] == record


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


@contextlib.contextmanager
def pages(answers: dict[str, bytes]):
    """Serve fixed answers by path."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(answers[self.path])))
            self.end_headers()
            self.wfile.write(answers[self.path])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()


FILES = {"set/images/a.jpg": b"A" * 3000, "set/masks/a.jpg": b"B" * 10, "set/empty": b""}


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize("write", [write_zip, write_tar])
def test_archive_is_unpacked_as_it_was(tmp_path, write):
    """Zip and tar give back every file, replace an older folder, and leave nothing beside it."""
    folder = tmp_path / "raw" / "set"
    folder.mkdir(parents=True)
    (folder / "old").touch()
    extract(write(tmp_path / "archive", FILES), folder)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert files == FILES
    assert list(folder.parent.iterdir()) == [folder]


def refuse(archive: Path, reason: str) -> None:
    """Check that `archive` is refused for `reason` and that nothing was written anywhere."""
    folder = archive.parent / "raw" / "set"
    before = set(archive.parent.rglob("*"))
    with pytest.raises(InputError, match=reason):
        extract(archive, folder)
    assert set(archive.parent.rglob("*")) - before <= {folder.parent}


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize(
    "name", ["../evil", "a/../../evil", "/evil", "C:\\evil", "a\\..\\..\\evil"]
)
def test_names_that_leave_the_folder_are_refused(tmp_path, write, name):
    """Absolute names and names with '..', of either system, are refused after a good file too."""
    refuse(write(tmp_path / "archive", {"good": b"1", name: b"2"}), "leaves its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_are_refused(tmp_path, kind):
    """Symbolic links, hard links and devices are no images."""
    with tarfile.open(tmp_path / "archive", "w") as archive:
        entry = tarfile.TarInfo("x")
        entry.type, entry.linkname = kind, "/etc/passwd"
        archive.addfile(entry)
    refuse(tmp_path / "archive", "link or device")


def test_links_in_zip_are_refused(tmp_path):
    """A zip entry marked as a symbolic link is refused."""
    entry = zipfile.ZipInfo("x")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    refuse(tmp_path / "archive", "link or encrypted")


@pytest.mark.parametrize("write", [write_zip, write_tar])
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.9])
def test_truncated_archives_are_refused(tmp_path, write, kept):
    """An archive cut anywhere, or empty, gives one sentence and no folder."""
    files = {f"{i}.jpg": np.random.default_rng(i).bytes(5000) for i in range(9)}
    archive = write(tmp_path / "archive", files)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(kept * len(content))])
    refuse(archive, "is damaged or truncated")


def test_damaged_bytes_are_refused(tmp_path):
    """A flipped byte inside a zip entry fails its own checksum."""
    archive = write_zip(tmp_path / "archive", {"a": np.random.default_rng(0).bytes(5000)})
    content = bytearray(archive.read_bytes())
    content[2500] ^= 255
    archive.write_bytes(content)
    refuse(archive, "is damaged or truncated")


def test_bombs_are_refused(tmp_path):
    """A tar that announces 2 GiB out of a few kB is refused before it is written."""
    entry = tarfile.TarInfo("zeros")
    entry.size = 2**31
    (tmp_path / "archive").write_bytes(gzip.compress(entry.tobuf() + bytes(10_000)))
    refuse(tmp_path / "archive", "far more than its size")


def test_fresh_folder_replaces_only_on_success(tmp_path):
    """A failure inside leaves the old folder untouched and no temporary one."""
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "old").touch()
    with pytest.raises(ZeroDivisionError), fresh_folder(folder) as fresh:
        (fresh / "new").touch()
        _ = 1 / 0
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [
        "set",
        "set/old",
    ]


def test_fresh_folder_clears_what_a_killed_run_left(tmp_path):
    """Half an unpacked archive of a killed run neither stays nor gets into the new folder."""
    left = tmp_path / ".set.new" / "set"
    left.mkdir(parents=True)
    (left / "half").touch()
    with fresh_folder(tmp_path / "set") as fresh:
        (fresh / "new").touch()
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == ["set", "set/new"]
