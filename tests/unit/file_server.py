"""A web server on a local port: files by name, their listing as a bucket gives it, and faults."""

import contextlib
import hashlib
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pandas as pd

PAGE = {"body": b"<!DOCTYPE html><html>The service has moved</html>", "kind": "text/html"}


@dataclass
class Server:
    """Files of the server, faults of its answers, and its received requests.

    A fault is a dictionary: ``status`` and ``headers`` answered instead, seconds of ``silence``
    before the answer, bytes before the connection is ``cut`` or before a ``stall``, another
    ``body`` and ``kind``, ``ranges`` False where they are ignored, ``headers`` of its own.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etags: dict[str, str] = field(default_factory=dict)  # where not the MD5 of the content
    page: int = 1000  # files per page of a listing
    faults: dict[str, Iterator[dict]] = field(default_factory=dict)  # by path
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # (path, Range)
    agents: set[tuple[str, str]] = field(default_factory=set)  # (User-Agent, Accept-Encoding)
    resume: threading.Event = field(default_factory=threading.Event)  # ends a stall
    connections: int = 0
    busy: Counter = field(default_factory=Counter)  # requests now, and at most
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, path: str, *faults: dict, always: bool = False) -> None:
        """Let the next requests for a path go wrong, one fault each, or all by the first."""
        self.faults[path] = itertools.repeat(faults[0]) if always else iter(faults)

    def names(self) -> list[str]:
        """Names of the requested files, in order."""
        return [path.lstrip("/") for path, _ in self.asked if path != "/"]

    def starts(self, name: str) -> list[int]:
        """First bytes of the requests for the rest of a file."""
        return [int(wanted[6:-1]) for path, wanted in self.asked if path == f"/{name}" and wanted]

    def listing(self, prefix: str, token: str) -> bytes:
        """One page of a listing as S3 writes it."""
        names, start = sorted(name for name in self.files if name.startswith(prefix)), int(token)
        entries = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(self.files[name])}</Size><ETag>&quot;"
            f"{self.etags.get(name) or hashlib.md5(self.files[name]).hexdigest()}&quot;</ETag>"
            "</Contents>"
            for name in names[start : start + self.page]
        )
        more = start + self.page < len(names)
        following = f"<NextContinuationToken>{start + self.page}</NextContinuationToken>"
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{following if more else ''}{entries}"
            "</ListBucketResult>"
        ).encode()

    def write_series(self, file: Path) -> Path:
        """Write the list that pins ``uuid-<i>/…`` as they are now as the series ``1.2.<i>``."""
        sizes = Counter()
        for name, content in self.files.items():
            if name.startswith("uuid-"):
                sizes[name.partition("/")[0]] += len(content)
        rows = [(f"1.2.{uuid[5:]}", uuid, size) for uuid, size in sizes.items()]
        columns = ["SeriesInstanceUID", "crdc_series_uuid", "bytes"]
        pd.DataFrame(rows, columns=columns).to_csv(file, index=False)
        return file


class Handler(BaseHTTPRequestHandler):
    """Answer from `state`, which each server sets."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: Server

    def setup(self):
        super().setup()
        self.state.connections += 1

    def do_GET(self):
        state, parts = self.state, urlsplit(self.path)
        path = parts.path.removeprefix("/elsewhere")
        with state.lock:
            state.asked.append((path, self.headers["Range"]))
            state.agents.add((self.headers["User-Agent"], self.headers["Accept-Encoding"]))
            fault = next(state.faults.get(path, iter(())), {})
            state.busy["now"] += 1
            state.busy["most"] = max(state.busy["most"], state.busy["now"])
        try:
            self.answer(state, path, parse_qs(parts.query), fault)
        except ConnectionError:
            self.close_connection = True  # the client has left
        finally:
            with state.lock:
                state.busy["now"] -= 1

    def answer(self, state, path, query, fault):
        time.sleep(fault.get("silence", 0))
        body = fault.get("body", state.files.get(path.lstrip("/")))
        if path == "/" and body is None:
            body = state.listing(query["prefix"][0], query.get("continuation-token", ["0"])[0])
        status, headers = fault.get("status", 404 if body is None else 200), {}
        body = body if status == 200 else b""
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(wanted[1]) if wanted and fault.get("ranges", True) else 0
        if start and status == 200:
            status = 206 if start < len(body) else 416
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        self.send_response(status)
        headers["Content-Length"] = str(len(body[start:]))
        headers["Content-Type"] = fault.get("kind", "application/octet-stream")
        for name, value in (headers | fault.get("headers", {})).items():
            self.send_header(name, value)
        self.end_headers()
        n_bytes = fault.get("cut", fault.get("stall"))
        self.wfile.write(body[start:][:n_bytes])
        self.wfile.flush()
        if "stall" in fault:
            state.resume.wait(30)
        self.close_connection = self.close_connection or n_bytes is not None

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(state: Server) -> Iterator[Server]:
    """Run a server of `state` in a thread."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"state": state})) as http:
        state.address = f"http://127.0.0.1:{http.server_port}"
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield state
        http.shutdown()
