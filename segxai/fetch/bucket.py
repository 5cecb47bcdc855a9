"""Files of a public bucket (Amazon's S3 protocol): a listing that is checked, then its objects."""

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from segxai.datasets.record import Record, is_added, require_unique
from segxai.fetch.http import (
    Client,
    byte_meter,
    fetch,
    has_checksum,
    readable,
    require_space,
    size_of,
)
from segxai.job.files import atomic_path, read_table
from segxai.job.log import InputError, log, progress

INDEX = "objects.csv"  # in the data set's folder: what the bucket listed
INDEX_COLUMNS = ["series", "key", "bytes", "etag"]
MAX_PAGES = 100  # of one series' listing, 1,000 objects each
MAX_FAILURES = 10  # objects that cannot be had before the rest is not asked for
MIB = 2**20
PART_SIZES = [8 * MIB, 5 * MIB, 16 * MIB, 50 * MIB, 64 * MIB]  # defaults of common programs


class Stopped(Exception):
    """Another object failed, or the user stopped the run."""


@dataclass(frozen=True)
class StoredObject:
    """One object of the bucket: a file of a series.

    Its ETag is the MD5 of the content or, of an object that was uploaded in n parts, the MD5 of
    their MD5s followed by ``-n``.
    """

    series: str  # SeriesInstanceUID, which is also the name of its folder on disk
    key: str  # its name in the bucket: <folder of the series>/<file>
    n_bytes: int
    etag: str

    @classmethod
    def checked(cls, series: str, key: str, size: str, etag: str) -> "StoredObject":
        """Take what a server says, unless it is impossible or would leave the folder."""
        if not re.fullmatch(r"[\w-]+/\w[\w.-]{0,120}", key, re.ASCII):
            raise ValueError(f"the name '{key[:80]}'")
        if not re.fullmatch(r"\d{1,12}", size, re.ASCII):
            raise ValueError(f"the size '{size[:80]}'")
        if not re.fullmatch(r"[0-9a-f]{32}(-[1-9]\d{0,4})?", etag, re.ASCII):
            raise ValueError(f"the checksum '{etag[:80]}'")
        return cls(series, key, int(size), etag)

    def path(self, folder: Path) -> Path:
        """Give its place on disk."""
        return folder / self.series / self.key.rpartition("/")[2]

    def part(self, folder: Path) -> Path:
        """Give the place of what has arrived of it."""
        return folder / f"{self.key.replace('/', '_')}.{self.etag[:8]}.part"


def wanted_series(records: Iterable[Record], folder: Path) -> list[str]:
    """List the series that hold the images and masks of `records`, each once, in their order.

    A reader places them at ``folder/<SeriesInstanceUID>`` whether or not they are there yet.
    """
    series = {}
    for record in records:
        for path in (record.image, *record.mask_paths):
            series[path.relative_to(folder).parts[0]] = None
    return list(series)


def fetch_series(
    bucket: str,
    wanted: Sequence[str],
    tables: Sequence[Path],
    folder: Path,
    parts: Path,
    connections: int,
    **options,
) -> list[StoredObject]:
    """Download what is missing of the wanted series to ``folder/<SeriesInstanceUID>/<file>``.

    A file appears under its name only when it is whole and its checksum right, so a file of the
    listed size is finished and is not asked for again; a series whose listing is in
    ``folder/objects.csv`` is not listed again. Other files of `folder` stay as they are.

    Parameters
    ----------
    bucket
        Address that lists the bucket; an object lies at ``<bucket>/<key>``.
    wanted
        SeriesInstanceUIDs; all objects of these series are returned.
    tables
        CSV with SeriesInstanceUID, crdc_series_uuid (the folder of this version of the series in
        the bucket) and bytes (of all its objects).
    parts
        Folder of objects that have arrived in part.
    connections
        Requests at a time.
    **options
        Of :class:`segxai.fetch.http.Client`.
    """
    bucket = bucket.rstrip("/")
    for place in (folder, parts):
        place.mkdir(parents=True, exist_ok=True)
    client = Client(**options)
    published = read_series(tables, wanted)
    index = list_missing(bucket, published, folder / INDEX, connections, client)
    objects = [stored for series in wanted for stored in index[series]]
    require_no_others(objects, folder)
    missing = [stored for stored in objects if size_of(stored.path(folder)) != stored.n_bytes]
    n_bytes = sum(
        stored.n_bytes - min(stored.n_bytes, size_of(stored.part(parts))) for stored in missing
    )
    log.info(
        "%s: %d series, %d files, %s in all; %d files, %s are still to be downloaded",
        *(bucket, len(wanted), len(objects), readable(sum(stored.n_bytes for stored in objects))),
        *(len(missing), readable(n_bytes)),
    )
    require_space(folder, n_bytes, "free some space or lower `max_images` of the data set")
    with byte_meter(n_bytes, folder.name) as received:
        fetch_objects(bucket, missing, folder, parts, connections, client, received)
    return objects


def read_series(tables: Sequence[Path], wanted: Sequence[str]) -> dict[str, tuple[str, int]]:
    """Look up the bucket's folder and the size in bytes of each wanted series."""
    columns = ["SeriesInstanceUID", "crdc_series_uuid", "bytes"]
    rows = pd.concat([read_table(Path(table), columns, unique=False) for table in tables])
    names = ", ".join(map(str, tables))
    require_unique(rows.SeriesInstanceUID, names)
    if wrong := [text for text in rows.bytes if not re.fullmatch(r"[1-9]\d*", text, re.ASCII)]:
        raise InputError(f"{names}: '{wrong[0]}' is no size; restore the list of the repository.")
    published = {row[0]: (row[1], int(row[2])) for row in rows.itertuples(index=False)}
    if unknown := [series for series in wanted if series not in published]:
        raise InputError(
            f"{names}: {len(unknown)} of the wanted series are not listed, the first is "
            f"{unknown[0]}; add them, or restore the list of the repository."
        )
    return {series: published[series] for series in wanted}


def list_missing(
    bucket: str,
    published: dict[str, tuple[str, int]],
    index_file: Path,
    connections: int,
    client: Client,
) -> dict[str, list[StoredObject]]:
    """Complete the index of the folder, of all series that were ever listed.

    The bucket is asked for series that are not in it, or in another version.
    """
    index = read_index(index_file)
    unlisted = [
        series
        for series, (prefix, n_bytes) in published.items()
        if not is_listed(index.get(series, []), prefix, n_bytes)
    ]

    def ask(series: str) -> tuple[str, list[StoredObject]]:
        return series, list_series(bucket, series, *published[series], client)

    try:
        with closing(in_parallel(ask, unlisted, connections, threading.Event())) as answers:
            for series, objects in progress(answers, len(unlisted), "series listed"):
                index[series] = objects
    finally:
        if unlisted and index:
            write_index(index, index_file)
    return index


def is_listed(objects: Sequence[StoredObject], prefix: str, n_bytes: int) -> bool:
    """Whether objects are all of a series in the version that lies at `prefix`."""
    of_version = all(stored.key.startswith(f"{prefix}/") for stored in objects)
    return bool(objects) and of_version and sum(stored.n_bytes for stored in objects) == n_bytes


def list_series(
    bucket: str, series: str, prefix: str, n_bytes: int, client: Client
) -> list[StoredObject]:
    """List the objects of one series, page by page; together they have `n_bytes`."""
    objects, query = [], {"list-type": "2", "prefix": f"{prefix}/"}
    for _ in range(MAX_PAGES):
        text = client.read_text(bucket, **query)
        try:
            page, token = parse_listing(text)
            objects += [StoredObject.checked(series, *entry) for entry in page]
        except (ValueError, ElementTree.ParseError) as error:
            raise InputError(
                f"{bucket}: does not list {prefix}/ as a bucket does ({error}); run the same "
                "command again, or correct `source: bucket` of the data set if it has moved."
            ) from None
        if token is None:
            break
        query["continuation-token"] = token
    unique = len({stored.key for stored in objects}) == len(objects)
    if not (unique and is_listed(objects, prefix, n_bytes)):
        listed = sum(stored.n_bytes for stored in objects)
        raise InputError(
            f"{bucket}: lists {len(objects)} files of {listed:,} bytes in {prefix}/ instead of "
            f"{n_bytes:,} bytes; the collection has changed: bring `source: series` of the data "
            "set to its present version."
        )
    return objects


def parse_listing(text: str) -> tuple[list[tuple[str, str, str]], str | None]:
    """Read a page of ListObjectsV2: (key, size, etag) of each, and the token of the next page.

    Entities cannot expand: they need a document type, which no listing has.
    """
    if "<!DOCTYPE" in text:
        raise ValueError("a document type, as pages have")
    root = ElementTree.fromstring(text)
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise ValueError(f"a document of type '{root.tag[:80]}'")

    def value(parent: ElementTree.Element, name: str) -> str:
        return parent.findtext(f"{{*}}{name}", default="")

    entries = [
        (value(entry, "Key"), value(entry, "Size"), value(entry, "ETag").strip('"'))
        for entry in root.findall("{*}Contents")
    ]
    if value(root, "IsTruncated") != "true":
        return entries, None
    token = value(root, "NextContinuationToken")
    if not token:
        raise ValueError("a page that is not the last but names no next one")
    return entries, token


def read_index(file: Path) -> dict[str, list[StoredObject]]:
    """Read what earlier runs listed; a damaged index is made anew."""
    index: dict[str, list[StoredObject]] = {}
    if file.exists():
        try:
            for row in read_table(file, INDEX_COLUMNS, unique=False).itertuples(index=False):
                index.setdefault(row.series, []).append(StoredObject.checked(*row))
        except (InputError, ValueError) as error:
            log.warning("%s: is listed anew (%s)", file, error)
            return {}
    return index


def write_index(index: dict[str, list[StoredObject]], file: Path) -> None:
    """Write the index, sorted, so that its bytes do not depend on the order of the answers."""
    rows = sorted(astuple(stored) for objects in index.values() for stored in objects)
    with atomic_path(file) as temporary:
        pd.DataFrame(rows, columns=INDEX_COLUMNS).to_csv(temporary, index=False)


def require_no_others(objects: Sequence[StoredObject], folder: Path) -> None:
    """Refuse files that lie beside those of a series: a reader could take them for its image."""
    expected = {stored.path(folder) for stored in objects}
    for series in sorted({path.parent for path in expected}):
        if others := sorted(p for p in series.glob("*") if p not in expected and not is_added(p)):
            raise InputError(
                f"{others[0]}: is no file of this series in the present version; move it away, "
                "then run the same command again."
            )


def fetch_objects(
    bucket: str,
    objects: Sequence[StoredObject],
    folder: Path,
    parts: Path,
    connections: int,
    client: Client,
    received: Callable[[int], None],
) -> None:
    """Download objects in parallel; one that cannot be had does not keep the others waiting."""
    stop, failures = threading.Event(), []
    remedy = f"to do without it let `path` of the data set name {folder} and raise `max_rejected`"

    def count(n_bytes: int) -> None:
        if stop.is_set():
            raise Stopped
        received(n_bytes)

    def ask(stored: StoredObject) -> InputError | None:
        url, part, file = f"{bucket}/{stored.key}", stored.part(parts), stored.path(folder)
        options = {"matches": has_etag, "remedy": remedy}
        try:
            fetch(url, f"etag:{stored.etag}", stored.n_bytes, part, file, client, count, **options)
        except InputError as error:
            return error
        return None

    with closing(in_parallel(ask, objects, connections, stop)) as answers:
        for failure in filter(None, answers):
            log.warning("%s", failure)
            failures.append(failure)
            if len(failures) == MAX_FAILURES:
                break
    if failures:
        rest = "; the rest was not tried" if len(failures) == MAX_FAILURES else ""
        raise InputError(
            f"{str(failures[0]).rstrip('.')}; in all {len(failures)} of {len(objects)} files "
            f"failed{rest}; the log names each."
        )


def in_parallel(
    function: Callable, items: Iterable, threads: int, stop: threading.Event
) -> Iterator:
    """Yield `function` of the items as they end; leaving the loop early stops the rest."""
    pool = ThreadPoolExecutor(threads)
    try:
        for future in as_completed([pool.submit(function, item) for item in items]):
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def has_etag(file: Path, checksum: str) -> bool:
    """Whether a file has the ETag ``etag:<MD5>`` or ``etag:<MD5 of n MD5s>-n``.

    The size of the parts is not published: all whole MiB that give n parts are tried. Where none
    fits, size and DICOM's mark tell, and the log says so.
    """
    etag = checksum.partition(":")[2]
    if "-" not in etag:
        return has_checksum(file, f"md5:{etag}")
    sizes = part_sizes(size_of(file), int(etag.partition("-")[2]))
    if any(etag_in_parts(file, size) == etag for size in sizes):
        return True
    log.warning("%s: its parts' size is unknown: checked by its size and DICOM's mark", file)
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def part_sizes(n_bytes: int, n_parts: int) -> list[int]:
    """List the sizes in whole MiB that cut `n_bytes` into `n_parts`, common ones first."""
    smallest = -(-n_bytes // (n_parts * MIB))
    # A single part may be larger than the file.
    largest = smallest if n_parts == 1 else -(-n_bytes // ((n_parts - 1) * MIB)) - 1
    sizes = [size * MIB for size in range(max(smallest, 1), max(largest, 1) + 1)]
    sizes = [size for size in sizes if -(-n_bytes // size) == n_parts]
    return sorted(sizes, key=lambda size: size not in PART_SIZES)


def etag_in_parts(file: Path, size: int) -> str:
    """Compute the ETag that S3 gives to a file uploaded in parts of `size` bytes."""
    content = np.memmap(file, np.uint8, "r")
    starts = range(0, len(content), size)
    digests = [hashlib.md5(content[start : start + size]).digest() for start in starts]
    return f"{hashlib.md5(b''.join(digests)).hexdigest()}-{len(digests)}"
