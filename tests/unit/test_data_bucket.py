"""A bucket's series are listed, checked and fetched in parallel; nothing is fetched twice."""

import hashlib
import json
import re
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segxai.datasets import reading
from segxai.datasets.record import Record
from segxai.fetch import bucket
from segxai.fetch.bucket import INDEX, MAX_FAILURES, fetch_series, has_etag, part_sizes
from segxai.job.log import InputError, describe_os_error
from segxai.workflow.config import config_problem
from segxai.workflow.schema import DOWNLOAD

SIZE = 300_000
MIB = 2**20


@dataclass
class Bucket:
    """What the test bucket holds, the faults of its answers, and what it was asked for."""

    address: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)  # where not the MD5 of the content
    page: int = 1000  # objects per page of a listing
    ranges: bool = True
    listing: str | None = None  # answered in place of every listing
    statuses: dict[str, list[int]] = field(default_factory=dict)  # answered first, by path
    drops: dict[str, list[int]] = field(default_factory=dict)  # bytes before the cut, by key
    stalls: dict[str, int] = field(default_factory=dict)  # bytes before a silence, by key
    resume: threading.Event = field(default_factory=threading.Event)  # ends that silence
    pages_of_html: set[str] = field(default_factory=set)  # paths answered by 200 and a page
    moved: str = ""  # folder that redirects lead to
    silence: float = 0.0  # seconds before each answer
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range)
    times: list[float] = field(default_factory=list)  # of requests for objects
    busy: int = 0
    most_busy: int = 0

    def etag(self, key: str) -> str:
        """Checksum that the listing gives."""
        return self.etags.get(key) or hashlib.md5(self.objects[key]).hexdigest()

    def downloads(self) -> list[str]:
        """Keys of the objects that were asked for, in order."""
        return [path.lstrip("/") for path, _ in self.asked if path != "/"]

    def list_page(self, prefix: str, token: str) -> str:
        """One page as S3 writes it."""
        if self.listing is not None:
            return self.listing
        keys, start = sorted(key for key in self.objects if key.startswith(prefix)), int(token)
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>&quot;{self.etag(key)}&quot;</ETag>"
            f"<Size>{len(self.objects[key])}</Size></Contents>"
            for key in keys[start : start + self.page]
        )
        more = start + self.page < len(keys)
        following = f"<NextContinuationToken>{start + self.page}</NextContinuationToken>"
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following if more else ''}{entries}"
            "</ListBucketResult>"
        )


class Handler(BaseHTTPRequestHandler):
    """Answer from `state`, which each server sets."""

    state: Bucket

    def do_GET(self):
        state, parts = self.state, urlsplit(self.path)
        path = parts.path.removeprefix(state.moved and f"/{state.moved}")
        if state.moved and path == parts.path:
            self.send_response(301)
            self.send_header("Location", f"/{state.moved}{self.path}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        with lock:
            state.asked.append((path, self.headers["Range"]))
            state.busy += 1
            state.most_busy = max(state.busy, state.most_busy)
        try:
            time.sleep(state.silence)
            self.answer(state, path, parse_qs(parts.query))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has left
        finally:
            with lock:
                state.busy -= 1

    def answer(self, state, path, query):
        key = path.lstrip("/")
        if statuses := state.statuses.get(path):
            self.send_error(statuses.pop(0))
        elif path in state.pages_of_html:
            self.send(b"<!DOCTYPE html><html>The service has moved</html>", "text/html")
        elif path == "/":
            token = query.get("continuation-token", ["0"])[0]
            self.send(state.list_page(query["prefix"][0], token).encode(), "application/xml")
        elif key not in state.objects:
            self.send_error(404)
        else:
            with lock:
                state.times.append(time.time())
            drops, stall = state.drops.get(key), state.stalls.pop(key, None)
            self.send(state.objects[key], "application/dicom", drops, stall)

    def send(self, content, kind, drops=None, stall=None):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(asked[1]) if asked and self.state.ranges else 0
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if stall is not None:
            self.wfile.write(body[:stall])
            self.wfile.flush()
            self.state.resume.wait(30)
            return
        self.wfile.write(body[: drops.pop(0)] if drops else body)

    def log_message(self, *_):
        pass


lock = threading.Lock()


def serve(state: Bucket) -> ThreadingHTTPServer:
    """Start a server of `state` in a thread."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"state": state}))
    state.address = f"http://127.0.0.1:{http.server_port}"
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    return http


@pytest.fixture
def server():
    """Serve four series: two of one object, two of two (a mask and its crop)."""
    rng = np.random.default_rng(0)
    state = Bucket()
    for i, count in enumerate((1, 1, 2, 2)):
        for j in range(count):
            state.objects[f"uuid-{i}/file-{j}.dcm"] = rng.bytes(SIZE + i)
    with serve(state) as http:
        yield state
        http.shutdown()


def write_table(server: Bucket, folder: Path) -> Path:
    """Write the list of series that pins the bucket as it is now."""
    sizes = Counter()
    for key, content in server.objects.items():
        sizes[key.partition("/")[0]] += len(content)
    rows = [(f"1.2.{uuid.partition('-')[2]}", uuid, size) for uuid, size in sizes.items()]
    file = folder / "series.csv"
    columns = ["SeriesInstanceUID", "crdc_series_uuid", "bytes"]
    pd.DataFrame(rows, columns=columns).to_csv(file, index=False)
    return file


WANTED = ["1.2.0", "1.2.1", "1.2.2", "1.2.3"]
PATIENCE = {"pause": 0.01, "timeout": 5.0}


def fetch(server: Bucket, tmp_path: Path, wanted=WANTED, **options) -> Path:
    """Fetch the wanted series; return their folder."""
    folder = tmp_path / "raw"
    table = tmp_path / "series.csv"
    if not table.exists():
        write_table(server, tmp_path)
    options = {"connections": 3} | PATIENCE | options
    fetch_series(server.address, wanted, [table], folder, tmp_path / "parts", **options)
    return folder


def require_whole(server: Bucket, folder: Path, wanted=WANTED) -> None:
    """Check that the folder holds exactly the objects of the wanted series."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.dcm")
    }
    assert found == {
        key.replace("uuid-", "1.2."): content
        for key, content in server.objects.items()
        if key.partition("/")[0].replace("uuid-", "1.2.") in wanted
    }


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_series_are_listed_and_fetched(server, tmp_path, page):
    """Listings of one page or several give every object, and the index has size and MD5 of each."""
    server.page = page
    folder = fetch(server, tmp_path)
    require_whole(server, folder)
    index = pd.read_csv(folder / INDEX, dtype=str)
    assert list(index) == ["series", "key", "bytes", "etag"]
    assert index.key.tolist() == sorted(server.objects)
    assert index.bytes.tolist() == [str(len(server.objects[key])) for key in index.key]
    assert index.etag.tolist() == [server.etag(key) for key in index.key]
    assert sorted(server.downloads()) == sorted(server.objects)
    assert [path for path, _ in server.asked].count("/") == (6 if page == 1 else 4)
    assert not list((tmp_path / "parts").iterdir())


def test_finished_series_need_no_server(server, tmp_path):
    """A second run asks nothing at all."""
    fetch(server, tmp_path)
    server.asked.clear()
    fetch(server, tmp_path)
    assert server.asked == []


def test_more_series_fetch_the_difference_and_fewer_remove_nothing(server, tmp_path):
    """Raised, only what is new is listed and fetched; lowered, all files and the index stay."""
    folder = fetch(server, tmp_path, WANTED[:2])
    require_whole(server, folder, WANTED[:2])
    server.asked.clear()
    fetch(server, tmp_path)
    require_whole(server, folder)
    assert {key.partition("/")[0] for key in server.downloads()} == {"uuid-2", "uuid-3"}
    assert [path for path, _ in server.asked].count("/") == 2
    before = (folder / INDEX).read_bytes()
    fetch(server, tmp_path, WANTED[:1])
    require_whole(server, folder)
    assert (folder / INDEX).read_bytes() == before


def test_requests_run_in_parallel_but_not_more_than_allowed(server, tmp_path):
    """Three connections answer at once, never four."""
    server.silence = 0.1
    fetch(server, tmp_path)
    assert 1 < server.most_busy <= 3


def test_total_is_said_before_the_first_byte(server, tmp_path, caplog):
    """The log gives number and size of the files before any of them is asked for."""
    caplog.set_level("INFO", "segxai")
    fetch(server, tmp_path)
    (record,) = [each for each in caplog.records if "still to be downloaded" in each.message]
    assert "4 series, 6 files, 1.8 MB in all; 6 files, 1.8 MB are still" in record.message
    assert record.created <= min(server.times)


def test_dropped_connections_are_continued(server, tmp_path):
    """After a cut inside an object the request starts at the byte that is missing."""
    key = "uuid-2/file-1.dcm"
    server.drops[key] = [200_000]
    require_whole(server, fetch(server, tmp_path))
    (start,) = [int(asked[6:-1]) for path, asked in server.asked if path == f"/{key}" and asked]
    assert 0 < start <= 200_000


def test_next_run_continues_inside_an_object(server, tmp_path):
    """What had arrived of an object when a run failed is not asked for again, nor the others."""
    key = "uuid-0/file-0.dcm"
    server.drops[key] = [200_000]
    with pytest.raises(InputError, match=r"file-0\.dcm: cannot be downloaded .* [1-9][\d,]+ bytes"):
        fetch(server, tmp_path, attempts=1)
    (part,) = (tmp_path / "parts").iterdir()
    kept = part.stat().st_size
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.asked == [(f"/{key}", f"bytes={kept}-")] and kept > 0


def test_bucket_without_ranges_starts_afresh(server, tmp_path):
    """Where the bucket ignores the range, the second answer replaces the first."""
    server.ranges, server.drops["uuid-1/file-0.dcm"] = False, [200_000]
    require_whole(server, fetch(server, tmp_path))


def test_busy_bucket_is_asked_again(server, tmp_path):
    """503 for a listing and for an object are only delays."""
    server.statuses = {"/": [503, 503], "/uuid-1/file-0.dcm": [503]}
    require_whole(server, fetch(server, tmp_path))


def test_slow_bucket_is_one_sentence(server, tmp_path):
    """A bucket that is silent for longer than the timeout ends in one sentence with a remedy."""
    server.silence = 1.0
    with pytest.raises(InputError, match=r"does not answer \(.*timed out.*run the same command"):
        fetch(server, tmp_path, timeout=0.2, attempts=2)


def test_redirects_are_followed(server, tmp_path):
    """A bucket that has moved and says where is followed there."""
    server.moved = "elsewhere"
    require_whole(server, fetch(server, tmp_path))


def test_unreachable_bucket_is_one_sentence(server, tmp_path):
    """A name that does not resolve is said as such, and what is there stays."""
    folder = fetch(server, tmp_path, WANTED[:2])
    server.address = "http://bucket.invalid"
    with pytest.raises(InputError, match=r"bucket\.invalid: does not answer \(Failed to resolve"):
        fetch(server, tmp_path, attempts=2)
    require_whole(server, folder, WANTED[:2])


def test_missing_object_does_not_stop_the_others(server, tmp_path):
    """One 404 names the object; the rest is fetched, and later only that one is asked for."""
    key = "uuid-2/file-0.dcm"
    server.statuses[f"/{key}"] = [404]
    with pytest.raises(InputError, match=r"file-0\.dcm: .*HTTP status 404.*`path`.* 1 of 6 files"):
        fetch(server, tmp_path)
    assert len(list((tmp_path / "raw").rglob("*.dcm"))) == 5
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.downloads() == [key]


def test_wrong_content_does_not_stop_the_others(server, tmp_path):
    """An object with another MD5 never gets its name, and is asked for from its first byte."""
    key = "uuid-3/file-1.dcm"
    content = server.objects[key]
    server.etags[key] = hashlib.md5(content).hexdigest()
    server.objects[key] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(InputError, match=r"file-1\.dcm: is not the expected file \(etag "):
        fetch(server, tmp_path)
    assert len(list((tmp_path / "raw").rglob("*.dcm"))) == 5
    assert not list((tmp_path / "parts").iterdir())
    server.objects[key] = content
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.asked == [(f"/{key}", None)]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_page_in_place_of_an_object_costs_nothing(server, tmp_path, ranges):
    """200 and a page, with part of the object here: that part stays and is continued later."""
    key = "uuid-0/file-0.dcm"
    server.drops[key] = [200_000]
    with pytest.raises(InputError):
        fetch(server, tmp_path, attempts=1)
    (part,) = (tmp_path / "parts").iterdir()
    kept = part.read_bytes()
    server.pages_of_html, server.ranges = {f"/{key}"}, ranges
    with pytest.raises(InputError, match=r"is not the expected file \(.*the server has moved"):
        fetch(server, tmp_path)
    assert part.read_bytes() == kept and kept
    server.pages_of_html, server.ranges = set(), True
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.asked == [(f"/{key}", f"bytes={len(kept)}-")]


def test_a_dead_bucket_is_not_asked_for_everything(server, tmp_path):
    """After ten failures the rest is not tried, and the sentence says so."""
    server.objects = {f"uuid-{i}/a.dcm": bytes([i]) * 10 for i in range(60)}
    server.statuses = {f"/{key}": [403] for key in server.objects}
    wanted = [f"1.2.{i}" for i in range(60)]
    with pytest.raises(InputError, match=f"in all {MAX_FAILURES} of 60 files failed; the rest was"):
        fetch(server, tmp_path, wanted)
    assert len(server.downloads()) < 30


LAUGHS = (
    '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><ListBucketResult>&b;</ListBucketResult>'
)


def listing(key="uuid-0/a.dcm", size=SIZE, etag="0" * 32, more=""):
    return (
        f"<ListBucketResult><Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
        f"<ETag>{etag}</ETag></Contents>{more}</ListBucketResult>"
    )


ENDLESS = "<IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken>"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (LAUGHS, "a document type"),
        ("<html><body>moved</body></html>", "a document of type 'html'"),
        ("moved", "syntax error"),
        ("", "no element found"),
        ("\ud800", "something else than a text"),
        (listing("../../evil"), "the name"),
        (listing("uuid-0/../evil"), "the name"),
        (listing("uuid-0/"), "the name"),
        (listing("uuid-0/.hidden"), "the name"),
        (listing("uuid-0/a/b"), "the name"),
        (listing("uuid-0/a\\..\\b"), "the name"),
        (listing("uuid-0/a\nb"), "the name"),
        (listing("/etc/passwd"), "the name"),
        (listing("uuid-1/a.dcm"), "instead of 300,000"),
        (listing(size=-1), "the size '-1'"),
        (listing(size="1e9"), "the size '1e9'"),
        (listing(size=10**15), "the size"),
        (listing(size=SIZE - 1), "instead of 300,000"),
        (listing(etag="../../x"), "the checksum"),
        (listing(more="<IsTruncated>true</IsTruncated>"), "names no next one"),
        (listing(more=ENDLESS), "instead of 300,000"),
        (listing(size=0, more=ENDLESS), "instead of 300,000"),
        ("<ListBucketResult/>", "lists 0 files of 0 bytes"),
    ],
)
def test_hostile_listings_are_refused(server, tmp_path, answer, reason):
    """Entities, names outside the folder, impossible sizes and endless pages end in a sentence."""
    server.list_page = lambda *_: answer
    if "\ud800" in answer:
        server.list_page = lambda *_: type("Raw", (), {"encode": lambda _: b"\xff\xfe<"})()
    with pytest.raises(InputError, match=reason) as caught:
        fetch(server, tmp_path, WANTED[:1])
    assert server.address in str(caught.value) and "Traceback" not in str(caught.value)
    assert not list((tmp_path / "raw").iterdir()) and server.downloads() == []


def test_listed_series_are_kept_when_another_listing_fails(server, tmp_path):
    """Series that were listed before a failure are not listed again."""
    fetch(server, tmp_path, WANTED[:1])
    server.objects["uuid-3/new.dcm"] = b"new"
    with pytest.raises(InputError, match="the collection has changed"):
        fetch(server, tmp_path, connections=1)
    assert set(pd.read_csv(tmp_path / "raw" / INDEX, dtype=str).series) == set(WANTED[:3])


def test_unknown_series_is_named(server, tmp_path):
    """A wanted series that the list does not have is named before anything is asked."""
    with pytest.raises(InputError, match=r"series\.csv: 1 of the wanted .* is 9\.9"):
        fetch(server, tmp_path, [*WANTED, "9.9"])
    assert server.asked == []


def test_files_of_another_version_are_not_mixed_in(server, tmp_path):
    """A new version of a series is listed anew; the old file beside it is named, not deleted."""
    folder = fetch(server, tmp_path)
    server.objects["uuid-0b/new.dcm"] = server.objects["uuid-0/file-0.dcm"]
    table = tmp_path / "series.csv"
    table.write_text(table.read_text().replace("uuid-0,", "uuid-0b,"))
    with pytest.raises(InputError, match=r"1\.2\.0/file-0\.dcm: is no file of this series"):
        fetch(server, tmp_path)
    (folder / "1.2.0" / "file-0.dcm").unlink()
    (folder / "1.2.0" / ".DS_Store").touch()
    fetch(server, tmp_path)
    assert (folder / "1.2.0" / "new.dcm").stat().st_size == SIZE


def test_damaged_index_and_file_are_made_anew(server, tmp_path):
    """A truncated index is listed again; a file of another size is fetched again."""
    folder = fetch(server, tmp_path)
    (folder / INDEX).write_text("series,key,bytes,etag\n1.2.0,../evil,1,x\n")
    (folder / "1.2.1" / "file-0.dcm").write_bytes(b"short")
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.downloads() == ["uuid-1/file-0.dcm"]


def etag_of(content: bytes, size: int) -> str:
    """ETag of an upload in parts, written down from its definition."""
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    joined = b"".join(hashlib.md5(piece).digest() for piece in pieces)
    return f"{hashlib.md5(joined).hexdigest()}-{len(pieces)}"


@pytest.mark.parametrize("size", [5 * MIB, 7 * MIB, 8 * MIB, 11 * MIB])
def test_upload_in_parts_is_checked(tmp_path, size):
    """An ETag of parts in whole MiB accepts the file and refuses one changed byte."""
    content = np.random.default_rng(1).bytes(10 * MIB + 5)
    file = tmp_path / "a"
    file.write_bytes(content)
    assert has_etag(file, f"etag:{etag_of(content, size)}")
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not has_etag(file, f"etag:{etag_of(content, size)}")


def test_upload_in_unknown_parts_is_checked_by_its_mark(tmp_path, caplog):
    """Parts of an odd size cannot be recomputed: DICOM passes with a warning, a page does not."""
    content = bytes(128) + b"DICM" + bytes(MIB)
    file = tmp_path / "a"
    file.write_bytes(content)
    assert has_etag(file, f"etag:{etag_of(content, 600_001)}")
    assert "checked by its size" in caplog.text
    file.write_bytes(b"<html>" + bytes(MIB))
    assert not has_etag(file, f"etag:{etag_of(content, 600_001)}")


@given(size=st.integers(1, 80 * MIB), part=st.integers(1, 100))
def test_every_whole_size_of_parts_is_tried(size, part):
    """Whatever whole number of MiB an upload was cut by is among those tried, and all fit."""
    n_parts = -(-size // (part * MIB))
    sizes = part_sizes(size, n_parts)
    assert all(-(-size // each) == n_parts for each in sizes) and len(set(sizes)) == len(sizes)
    assert n_parts == 1 or part * MIB in sizes
    assert sizes


CHILD = """
import json, sys
from pathlib import Path
from segxai.fetch.bucket import fetch_series

address, wanted, root = json.loads(sys.argv[1])
root = Path(root)
fetch_series(address, wanted, [root / "series.csv"], root / "raw", root / "parts", 2)
"""


def start_child(server: Bucket, tmp_path: Path, checkout: Path) -> subprocess.Popen:
    """Start the same download in a process of its own."""
    write_table(server, tmp_path)
    arguments = json.dumps([server.address, WANTED, str(tmp_path)])
    return subprocess.Popen([sys.executable, "-c", CHILD, arguments], cwd=checkout)


def wait_for(condition, seconds=30.0):
    """Wait until `condition` holds; fail if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_killed_download_goes_on(server, tmp_path, checkout):
    """After kill −9 finished objects are not asked for, a broken one goes on at its last byte."""
    slow, parts = "uuid-3/file-1.dcm", tmp_path / "parts"
    server.stalls[slow] = 200_000
    child = start_child(server, tmp_path, checkout)
    try:
        wait_for(lambda: len(list((tmp_path / "raw").rglob("*.dcm"))) == 5)
        wait_for(lambda: any(path.stat().st_size > 100_000 for path in parts.glob("*.part")))
    finally:
        child.kill()
        assert child.wait() == -signal.SIGKILL
        server.resume.set()
    (part,) = parts.iterdir()
    kept = part.stat().st_size
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.asked == [(f"/{slow}", f"bytes={kept}-")]
    assert not list(parts.iterdir())


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


def test_too_small_a_disk_is_said_before_the_first_byte(server, small_disk):
    """1.8 MB do not fit into 1 MiB: the sentence has both, and no object is asked for."""
    with pytest.raises(InputError, match=r"1\.8 MB are still .* 1\.\d MB .*lower `max_images`"):
        fetch(server, small_disk)
    assert server.downloads() == []


def test_a_disk_that_fills_up_loses_nothing(server, small_disk, monkeypatch):
    """A disk that was filled meanwhile: the file is named, and with room again it goes on."""
    monkeypatch.setattr(bucket, "require_space", lambda *_: None)  # the room was there before
    with pytest.raises(OSError, match="No space left") as caught:
        fetch(server, small_disk)
    sentence = describe_os_error(caught.value)
    assert str(small_disk / "parts") in sentence and "free some disk space" in sentence
    done = {path.name for path in (small_disk / "raw").rglob("*.dcm")}
    kept = {path: path.stat().st_size for path in (small_disk / "parts").iterdir()}
    assert done and sum(kept.values()) > 0
    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    server.asked.clear()
    require_whole(server, fetch(server, small_disk))
    starts = [int(asked[6:-1]) for _, asked in server.asked if asked]
    assert sorted(starts) == sorted(size for size in kept.values() if 0 < size < SIZE)
    assert len(server.asked) < len(server.objects)


@pytest.fixture
def study(server, tmp_path, monkeypatch):
    """Give what runs fetch_dataset on the bucket: twelve images with one or two masks each."""
    files, rng = {}, np.random.default_rng(2)
    server.objects = {f"uuid-{i}/a.dcm": rng.bytes(1000 + i) for i in range(30)}
    rows = [f"{i},1.2.{i},1.2.{12 + i} 1.2.{24 + i % 6},{'ab'[i % 2]}" for i in range(12)]
    files["cases.csv"] = "\n".join(["image_id,image,masks,label", *rows]).encode()
    server.objects |= files

    def read(folder: Path, part: str = "all") -> list[Record]:
        table = pd.read_csv(folder / "cases.csv", dtype=str)
        table = table[:3] if part == "three" else table
        return [
            Record(
                row.image_id,
                folder / row.image,
                tuple(folder / mask for mask in row.masks.split()),
                row.label,
                row.image_id,
            )
            for row in table.itertuples()
        ]

    reader = SimpleNamespace(read=read)
    monkeypatch.setattr(reading, "load_reader", lambda reader_name, options: (reader, options))
    table = tmp_path / "series.csv"
    sizes = [f"1.2.{i},uuid-{i},{1000 + i}" for i in range(30)]
    table.write_text("\n".join(["SeriesInstanceUID,crdc_series_uuid,bytes", *sizes, ""]))
    source = {
        "files": [
            {
                "name": "cases.csv",
                "url": f"{server.address}/cases.csv",
                "sha256": hashlib.sha256(files["cases.csv"]).hexdigest(),
            }
        ],
        "bucket": server.address,
        "series": ["series.csv"],
        "connections": 4,
        "version": "test 1",
    }
    receipt = tmp_path / "results" / "raw" / "cases.json"

    def run(max_images, options=None):
        main = runpy.run_path(str(Path(__file__).parents[2] / "scripts/fetch_dataset.py"))["main"]
        main(
            reader="cases",
            path=None,
            source=source,
            receipt=receipt,
            series=[table],
            selection={"max_images": max_images, "split": {"validation": 2, "seed": 1}},
            options=options,
        )
        return json.loads(receipt.read_text())

    return run


def test_script_fetches_the_images_that_are_prepared(server, study):
    """Of twelve images four are chosen, with all their masks; then all; then four again."""
    facts = study(4)
    chosen = {key.partition("/")[0] for key in server.downloads() if key.startswith("uuid-")}
    images = sorted(int(name[5:]) for name in chosen if int(name[5:]) < 12)
    masks = {f"uuid-{m}" for i in images for m in (12 + i, 24 + i % 6)}
    assert len(images) == 4 and chosen == masks | {f"uuid-{i}" for i in images}
    assert facts["n_images"] == 4 and facts["n_objects"] == len(chosen)
    assert facts["bytes"] == sum(len(server.objects[f"{name}/a.dcm"]) for name in chosen)
    assert facts["version"] == "test 1" and facts["bucket"] == server.address
    assert facts["n_files"] == len(chosen) + 2  # the table of cases, the index
    server.asked.clear()
    assert study(None)["n_images"] == 12
    assert len(server.downloads()) == 30 - len(chosen)
    server.asked.clear()
    fewer = study(4)
    assert server.asked == [] and fewer["n_images"] == 12
    assert fewer["n_objects"] == facts["n_objects"]


def test_reader_option_decides_what_is_fetched(server, study):
    """The option that prepare_dataset gives the reader chooses the fetched records as well."""
    assert study(None, {"part": "three"})["n_images"] == 3
    assert sorted(server.downloads())[1:] == sorted(
        f"uuid-{i}/a.dcm" for i in (0, 1, 2, 12, 13, 14, 24, 25, 26)
    )


def test_script_keeps_the_folder_when_it_fails(server, study, tmp_path):
    """A failing rerun leaves every file of the finished folder as it was."""
    study(4)
    folder = tmp_path / "results" / "raw" / "cases"

    def state():
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = state()
    server.listing = "moved"
    with pytest.raises(InputError, match="does not list"):
        study(None)
    assert state() == before


BUCKET = {"files": [{"name": "a.csv", "url": "https://a/a.csv", "sha256": "0" * 64}]}
BUCKET |= {"bucket": "https://a", "series": ["a.csv"], "connections": 8}
ARCHIVE = {"url": "https://a/a.zip", "checksum_from": "https://zenodo.org/api/records/1"}


@pytest.mark.parametrize("source", [BUCKET, ARCHIVE])
def test_sources_are_valid(source):
    """The schema accepts a bucket, and an archive with asked MD5, and names what they lack."""
    assert config_problem(source, DOWNLOAD) is None
    for key in source.keys() - {"bucket", "url"}:
        less = {name: value for name, value in source.items() if name != key}
        missing = "sha256" if key == "checksum_from" else key
        assert config_problem(less, DOWNLOAD).startswith(f"Config key {missing} is missing: ")


def test_lists_of_cbis_ddsm_are_whole(checkout):
    """The two committed lists have the 6,775 series and all bytes of IDC's version 25."""
    files = sorted((checkout / "config" / "datasets").glob("cbis-ddsm-series-*.csv"))
    tables = [pd.read_csv(file, dtype={"bytes": int}) for file in files]
    rows = pd.concat(tables)
    assert [len(table) for table in tables] == [3384, 3391]
    assert rows.bytes.sum() == 163_512_966_728
    assert rows.SeriesInstanceUID.is_unique and rows.crdc_series_uuid.is_unique
    assert rows.SeriesInstanceUID.str.fullmatch(r"[\d.]{20,64}").all()
    assert rows.crdc_series_uuid.str.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").all()


@pytest.mark.real
def test_lists_of_cbis_ddsm_have_every_case(checkout, shared):
    """Each series that a case table names is in the list of its kind, and no other is."""
    for kind in ("mass", "calc"):
        named = set()
        for side in ("train", "test"):
            name = f"facts/metadata/cbis_ddsm/{kind}_case_description_{side}_set.csv"
            table = pd.read_csv(shared / name, dtype=str)
            for column in [column for column in table if column.endswith("file path")]:
                named |= set(table[column].str.strip().str.split("/").str[-2])
        listed = pd.read_csv(checkout / f"config/datasets/cbis-ddsm-series-{kind}.csv")
        assert set(listed.SeriesInstanceUID) == named
