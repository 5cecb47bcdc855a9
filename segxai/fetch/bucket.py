"""Files of a public bucket (Amazon's S3 protocol): a checked listing, then its objects."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from segxai.datasets.record import Record, is_added, require_unique
from segxai.fetch import http
from segxai.job.files import read_table, write_json, write_table
from segxai.job.log import InputError, log, progress

RECORD = "objects.csv"  # in the data set's folder: size and checksum of each object
MAX_PAGES = 100  # of one series' listing, 1,000 objects each
MAX_FAILURES = 10  # of objects, after which the rest is skipped
MIB = 2**20
# Allowed entries of a listing: possible values, and names that stay within the folder.
SAFE = {
    "Key": r"{}/\w[\w.-]{{0,120}}",
    "Size": r"\d{1,12}",
    "ETag": r"[0-9a-f]{32}(-[1-9]\d{0,4})?",
}


@dataclass(frozen=True)
class StoredObject:
    """One object of the bucket: a file of a series."""

    series: str  # SeriesInstanceUID, which is also the name of its folder on disk
    key: str  # its name in the bucket: <folder of the series>/<file>
    n_bytes: int
    etag: str  # MD5 of the content; after an upload in n parts, MD5 of their MD5s, and "-n"

    def path(self, folder: Path) -> Path:
        """Path on disk."""
        return folder / self.series / self.key.rpartition("/")[2]

    def part(self, folder: Path) -> Path:
        """Path of the part that has arrived."""
        return folder / f"{self.key.replace('/', '_')}.{self.etag[:8]}.part"


def wanted_series(records: Iterable[Record], folder: Path) -> list[str]:
    """List the series of all images and masks, each once, present or not.

    A reader places them at ``folder/<SeriesInstanceUID>``.
    """
    paths = [path for record in records for path in (record.image, *record.mask_paths)]
    return list(dict.fromkeys(path.relative_to(folder).parts[0] for path in paths))


def fetch_series(
    bucket: str,
    wanted: Sequence[str],
    tables: Sequence[Path],
    folder: Path,
    parts: Path,
    connections: int,
    **options,
) -> list[StoredObject]:
    """Download the missing files of the wanted series to ``folder/<SeriesInstanceUID>/<file>``.

    A file gets its name only when it is complete and its checksum correct, so a file of the listed
    size is finished and is not requested again. Other files of `folder` stay as they are.

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
        Folder of listings and of partly downloaded objects.
    connections
        Simultaneous requests.
    **options
        Arguments of :class:`segxai.fetch.http.Client`.
    """
    bucket = bucket.rstrip("/")
    for place in (folder, parts):
        place.mkdir(parents=True, exist_ok=True)
    published = read_series(tables, wanted)
    with http.Client(**options) as client, ThreadPoolExecutor(connections) as pool:
        listings = pool.map(lambda row: list_series(bucket, *row, parts, client), published)
        listings = progress(listings, len(published), "series listed")
        objects = [file for listing in listings for file in listing]
        require_no_others(objects, folder)
        missing = [file for file in objects if http.size_of(file.path(folder)) != file.n_bytes]
        n_bytes = sum(max(0, file.n_bytes - http.size_of(file.part(parts))) for file in missing)
        log.info(
            "%s: %d series, %d files, %s in all; %d files, %s are still to be downloaded",
            *(bucket, len(wanted), len(objects), http.readable(sum(f.n_bytes for f in objects))),
            *(len(missing), http.readable(n_bytes)),
        )
        http.require_space(folder, n_bytes, "free some space or lower `max_images`")
        without = f"to do without it set the data set's `path` to {folder} and raise `max_rejected`"

        def fetch(file: StoredObject) -> None:
            with http.explained(f"{bucket}/{file.key}", without):
                part = file.part(parts)
                client.complete(f"{bucket}/{file.key}", part, file.n_bytes, received)
                http.accept(part, file.path(folder), has_etag(part, file.etag))

        with http.byte_meter(n_bytes, folder.name) as received:
            fetch_all(missing, fetch, pool)
    write_table(folder / RECORD, pd.DataFrame(objects))
    return objects


def read_series(tables: Sequence[Path], wanted: Sequence[str]) -> list[tuple[str, str, int]]:
    """Look up the bucket's folder and the size in bytes of each wanted series."""
    columns = ["SeriesInstanceUID", "crdc_series_uuid", "bytes"]
    rows = pd.concat([read_table(Path(table), columns, unique=False) for table in tables])
    names = ", ".join(map(str, tables))
    require_unique(rows.SeriesInstanceUID, names)
    try:
        published = {row[0]: (row[0], row[1], int(row[2])) for row in rows.to_numpy()}
    except ValueError as error:
        raise InputError(
            f"{names}: a size is not a number ({error}); restore the list of the repository."
        ) from None
    if unknown := [series for series in wanted if series not in published]:
        raise InputError(
            f"{names}: {len(unknown)} of the wanted series are not listed, the first is "
            f"{unknown[0]}; add them, or restore the list of the repository."
        )
    return [published[series] for series in wanted]


def list_series(
    bucket: str, series: str, prefix: str, n_bytes: int, parts: Path, client: http.Client
) -> list[StoredObject]:
    """List the objects of one series, or read the listing of an earlier run in `parts`."""
    kept = parts / f"{prefix.replace('/', '_')}.json"
    query = {"list-type": "2", "prefix": f"{prefix}/"}
    try:
        pages = json.loads(kept.read_text("utf-8")) if kept.exists() else []
        objects = {}
        for number in range(MAX_PAGES):
            if number == len(pages):
                pages.append(client.read(bucket, **query).decode("utf-8"))
            page, token = parse_listing(pages[number], series, prefix)
            objects |= {stored.key: stored for stored in page}
            if not token:
                break
            query["continuation-token"] = token
        else:
            raise ValueError(f"more than {MAX_PAGES} pages")
        size = sum(stored.n_bytes for stored in objects.values())
        if size != n_bytes:
            raise ValueError(f"{len(objects)} files of {size:,} bytes instead of {n_bytes:,} bytes")
        if not kept.exists():
            write_json(kept, pages)
    except (LookupError, TypeError, ValueError, ElementTree.ParseError) as error:
        kept.unlink(missing_ok=True)
        raise InputError(
            f"{bucket}: does not list {prefix}/ as expected ({error}); run the same command again, "
            "or, if the bucket has moved or the collection changed, correct `source` of the data "
            "set."
        ) from None
    return list(objects.values())


def parse_listing(text: str, series: str, prefix: str) -> tuple[list[StoredObject], str | None]:
    """Read one page of a listing: its objects, and the token of the next page."""
    if "<!DOCTYPE" in text:  # only web pages have one; without it, no entity expands
        raise ValueError("a document type")
    root = ElementTree.fromstring(text)
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise ValueError(f"a document of type '{root.tag[:80]}'")
    objects, patterns = [], SAFE | {"Key": SAFE["Key"].format(re.escape(prefix))}
    for entry in root.iterfind("{*}Contents"):
        facts = {tag: entry.findtext(f"{{*}}{tag}", "").strip('"') for tag in SAFE}
        for tag, pattern in patterns.items():
            if not re.fullmatch(pattern, facts[tag], re.ASCII):
                raise ValueError(f"{tag} '{facts[tag][:80]}'")
        objects.append(StoredObject(series, facts["Key"], int(facts["Size"]), facts["ETag"]))
    token = root.findtext("{*}NextContinuationToken")
    if root.findtext("{*}IsTruncated") == "true" and not token:
        raise ValueError("a page that is not the last but names no next one")
    return objects, token


def require_no_others(objects: Sequence[StoredObject], folder: Path) -> None:
    """Refuse other files in the folder of a series: a reader could take them for its image."""
    expected = {stored.path(folder) for stored in objects}
    for series in sorted({path.parent for path in expected}):
        if others := sorted(p for p in series.glob("*") if p not in expected and not is_added(p)):
            raise InputError(
                f"{others[0]}: does not belong to the present version of this series; move it, "
                "then run the same command again."
            )


def fetch_all(objects: list[StoredObject], fetch: Callable, pool: ThreadPoolExecutor) -> None:
    """Fetch objects in parallel; the failure of one does not stop the others."""
    failures = []

    def attempt(stored: StoredObject) -> None:
        if len(failures) < MAX_FAILURES:
            try:
                fetch(stored)
            except InputError as error:
                log.warning("%s", error)
                failures.append(error)

    for _ in pool.map(attempt, objects):
        pass
    if failures:
        rest = "; the rest was not tried" if len(failures) >= MAX_FAILURES else ""
        raise InputError(
            f"{str(failures[0]).rstrip('.')}; in all {len(failures)} of {len(objects)} files "
            f"failed{rest}; the log names each."
        )


def has_etag(file: Path, etag: str) -> bool:
    """Whether a file has the MD5 ``<MD5>`` or, uploaded in n parts, ``<MD5 of n MD5s>-n``.

    The size of the parts is not published: all sizes in whole MiB that give n parts are tried. If
    none fits, the size and the DICOM signature decide, with a line in the log.
    """
    n_parts = int(etag.partition("-")[2] or 0)
    if not n_parts:
        return http.has_checksum(file, f"md5:{etag}")
    content = np.memmap(file, np.uint8, "r")
    for size in part_sizes(len(content), n_parts):
        starts = range(0, len(content), size)
        digests = [hashlib.md5(content[start : start + size]).digest() for start in starts]
        if f"{hashlib.md5(b''.join(digests)).hexdigest()}-{n_parts}" == etag:
            return True
    log.warning("%s: its parts' size is unknown: checked by its size and DICOM's mark", file)
    return content[128:132].tobytes() == b"DICM"


def part_sizes(n_bytes: int, n_parts: int) -> list[int]:
    """List the sizes in whole MiB that cut `n_bytes` into `n_parts`."""
    return [size for size in range(MIB, n_bytes + MIB, MIB) if -(-n_bytes // size) == n_parts]
