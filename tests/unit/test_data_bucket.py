"""A bucket's series are listed, checked and fetched in parallel; nothing is fetched twice."""

import hashlib
import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segxai.datasets import reading
from segxai.datasets.record import Record
from segxai.fetch.bucket import MAX_FAILURES, fetch_series, has_etag, part_sizes
from segxai.job.log import InputError
from segxai.workflow.config import config_problem
from segxai.workflow.schema import DOWNLOAD
from tests.unit.file_server import Server, serve

SIZE = 300_000
MIB = 2**20
WANTED = ["1.2.0", "1.2.1", "1.2.2", "1.2.3"]


@pytest.fixture
def server():
    """Serve four series: two of one object, two of two (a mask and its crop)."""
    rng = np.random.default_rng(0)
    names = [f"uuid-{i}/file-{j}.dcm" for i, count in enumerate((1, 1, 2, 2)) for j in range(count)]
    with serve(Server(files={name: rng.bytes(SIZE + int(name[5])) for name in names})) as state:
        yield state


def fetch(server: Server, tmp_path: Path, wanted=WANTED, **options) -> Path:
    """Fetch the wanted series; return their folder."""
    folder, table = tmp_path / "raw", tmp_path / "series.csv"
    if not table.exists():
        server.write_series(table)
    options = {"connections": 3, "pause": 0.01, "timeout": 5.0} | options
    fetch_series(server.address, wanted, [table], folder, tmp_path / "parts", **options)
    return folder


def require_whole(server: Server, folder: Path, wanted=WANTED) -> None:
    """Check that the folder holds exactly the objects of the wanted series."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.dcm")
    }
    series = {name: name.partition("/")[0].replace("uuid-", "1.2.") for name in server.files}
    assert files == {
        f"{series[name]}/{name.partition('/')[2]}": content
        for name, content in server.files.items()
        if series[name] in wanted
    }


@pytest.mark.parametrize("page", [1, 2, 1000])
def test_series_are_listed_and_fetched_once(server, tmp_path, page):
    """Listings of one page or several give every object; a second run sends no request."""
    server.page = page
    server.fail("/", {"status": 503}, {"silence": 0.5}, {"cut": 30})
    require_whole(server, fetch(server, tmp_path, timeout=0.3))
    assert sorted(server.names()) == sorted(server.files)
    assert len(server.asked) - len(server.files) == (6 if page == 1 else 4) + 3
    assert not list((tmp_path / "parts").glob("*.part"))
    record = pd.read_csv(tmp_path / "raw/objects.csv", dtype=str)
    assert dict(zip(record.key, record.etag, strict=True)) == {
        name: hashlib.md5(content).hexdigest() for name, content in server.files.items()
    }
    server.asked.clear()
    fetch(server, tmp_path)
    assert server.asked == []


def test_more_series_fetch_the_difference_and_fewer_remove_nothing(server, tmp_path):
    """Raised, only what is new is listed and fetched; lowered, all files stay."""
    folder = fetch(server, tmp_path, WANTED[:2])
    require_whole(server, folder, WANTED[:2])
    server.asked.clear()
    fetch(server, tmp_path)
    require_whole(server, folder)
    assert {name.partition("/")[0] for name in server.names()} == {"uuid-2", "uuid-3"}
    assert len(server.asked) == 6
    fetch(server, tmp_path, WANTED[:1])
    require_whole(server, folder)


def test_connections_are_parallel_limited_and_reused(server, tmp_path):
    """Three requests run at once, never four, and all of them over as many connections."""
    for path in ["/", *(f"/{name}" for name in server.files)]:
        server.fail(path, {"silence": 0.1}, always=True)
    fetch(server, tmp_path)
    assert 1 < server.busy["most"] <= 3 and server.connections <= 3
    assert len(server.asked) == 10


def test_total_is_logged_before_the_first_byte(server, tmp_path, caplog):
    """The log gives number and size of the files before the first request for one."""
    caplog.set_level("INFO", "segxai")
    (tmp_path / "raw/1.2.0").mkdir(parents=True)
    (tmp_path / "raw/1.2.0/file-0.dcm").write_bytes(server.files["uuid-0/file-0.dcm"])
    server.fail("/uuid-1/file-0.dcm", {"status": 404})
    with pytest.raises(InputError):
        fetch(server, tmp_path)
    total, *later = [record.message for record in caplog.records if "files" in record.message]
    assert "4 series, 6 files, 1.8 MB in all; 5 files, 1.5 MB are still" in total
    assert later == []


@pytest.mark.parametrize("wrong", [{"status": 404}, {"body": bytes(SIZE + 2)}])
def test_one_that_fails_does_not_stop_the_others(server, tmp_path, wrong):
    """The sentence names the object; the rest is fetched, and later only that object."""
    name = "uuid-2/file-0.dcm"
    server.fail(f"/{name}", wrong)
    with pytest.raises(InputError, match=r"file-0\.dcm: .*\(.*`max_rejected`; in all 1 of 6 files"):
        fetch(server, tmp_path)
    assert len(list((tmp_path / "raw").rglob("*.dcm"))) == 5
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.asked == [(f"/{name}", None)]


def test_a_dead_bucket_stops_early(server, tmp_path):
    """After ten failures the rest is not tried, and the sentence reports it."""
    server.files = {f"uuid-{i}/a.dcm": bytes([i]) * 10 for i in range(60)}
    for name in server.files:
        server.fail(f"/{name}", {"status": 403})
    with pytest.raises(InputError, match=r"in all 1\d of 60 files failed; the rest was not"):
        fetch(server, tmp_path, [f"1.2.{i}" for i in range(60)])
    assert MAX_FAILURES <= len(server.names()) < MAX_FAILURES + 3


def listing(key="uuid-0/a.dcm", size=SIZE, etag="0" * 32, more="", start=""):
    return (
        f"{start}<ListBucketResult><Contents><Key>{key}</Key><Size>{size}</Size>"
        f"<ETag>{etag}</ETag></Contents>{more}</ListBucketResult>"
    ).encode()


ENDLESS = "<IsTruncated>true</IsTruncated><NextContinuationToken>1</NextContinuationToken>"
HOSTILE = [
    (listing("&b;", start='<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'), "document type"),
    (b"<html><body>moved</body></html>", "a document of type 'html'"),
    (b"moved", "syntax error"),
    (b"", "no element found"),
    (b"\xff\xfe<", "can't decode"),
    *((listing(key), "Key '") for key in ("../../evil", "uuid-0/../evil", "uuid-0/", "uuid-0/a/b")),
    *((listing(key), "Key '") for key in ("uuid-0/.hidden", "uuid-0/a\\..\\b", "uuid-0/a\nb")),
    *((listing(key), "Key '") for key in ("/etc/passwd", "uuid-1/a.dcm", "uuid-0/\u00e4")),
    *((listing(size=size), f"Size '{size}'") for size in (-1, "1e9", 10**15, "")),
    (listing(size=SIZE - 1), "instead of 300,000"),
    (listing(etag="../../x"), "ETag '"),
    (listing(more="<IsTruncated>true</IsTruncated>"), "names no next one"),
    (listing(more=ENDLESS), "more than 100 pages"),
    (listing(size=0, more=ENDLESS), "more than 100 pages"),
    (listing(size=0) + b" " * 2**24, "not the expected file .more than 16,777,216 bytes"),
    (b"<ListBucketResult/>", "0 files of 0 bytes"),
]


@pytest.mark.parametrize(("answer", "reason"), HOSTILE)
def test_hostile_listings_are_refused(server, tmp_path, answer, reason):
    """Entities, names outside the folder, impossible sizes and endless pages end in a sentence.

    Nothing of it is kept: the next run lists anew.
    """
    server.fail("/", {"body": answer}, always=True)
    with pytest.raises(InputError, match=f"{server.address}: .*{reason}"):
        fetch(server, tmp_path, WANTED[:1])
    assert not list((tmp_path / "raw").iterdir()) and server.names() == []
    server.faults.clear()
    require_whole(server, fetch(server, tmp_path), WANTED)


def test_listed_series_are_kept_when_another_listing_fails(server, tmp_path):
    """Series that were listed before a failure are not listed again, unless the listing is broken.

    A listing that is broken on the disk is removed, and the next run asks for it.
    """
    fetch(server, tmp_path, WANTED[:1])
    server.files["uuid-3/new.dcm"] = b"new"
    with pytest.raises(InputError, match=r"uuid-3/ .*correct `source`"):
        fetch(server, tmp_path, connections=1)
    del server.files["uuid-3/new.dcm"]
    (tmp_path / "parts/uuid-0.json").write_text("[")
    server.asked.clear()
    with pytest.raises(InputError, match=r"uuid-0/ .*run the same command again"):
        fetch(server, tmp_path)
    require_whole(server, fetch(server, tmp_path))
    assert len(server.asked) == 2 + 5


def test_series_list_is_checked(server, tmp_path):
    """An unknown series, one that is listed twice and a size that is not a number are named."""
    with pytest.raises(InputError, match=r"series\.csv: 1 of the wanted .* is 9\.9"):
        fetch(server, tmp_path, [*WANTED, "9.9"])
    table = tmp_path / "series.csv"
    text = table.read_text()
    for wrong, reason in [(text.replace(",300000", ",many"), "number"), (text * 2, r"1\.2\.0")]:
        table.write_text(wrong)
        with pytest.raises(InputError, match=rf"series\.csv: .*{reason}"):
            fetch(server, tmp_path)
    assert server.asked == []


def test_files_of_another_version_are_not_mixed_in(server, tmp_path):
    """A new version of a series is listed anew; the old file beside it is named, not deleted."""
    folder = fetch(server, tmp_path)
    server.files["uuid-0b/new.dcm"] = server.files["uuid-0/file-0.dcm"]
    table = tmp_path / "series.csv"
    table.write_text(table.read_text().replace("uuid-0,", "uuid-0b,"))
    with pytest.raises(InputError, match=r"1\.2\.0/file-0\.dcm: .* this series"):
        fetch(server, tmp_path)
    (folder / "1.2.0" / "file-0.dcm").unlink()
    (folder / "1.2.0" / ".DS_Store").touch()
    fetch(server, tmp_path)
    assert (folder / "1.2.0" / "new.dcm").stat().st_size == SIZE


def test_file_of_another_size_is_fetched_again(server, tmp_path):
    """A file that was cut short on the disk is replaced, and no other."""
    folder = fetch(server, tmp_path)
    (folder / "1.2.1" / "file-0.dcm").write_bytes(b"short")
    server.asked.clear()
    require_whole(server, fetch(server, tmp_path))
    assert server.names() == ["uuid-1/file-0.dcm"]


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
    assert has_etag(file, etag_of(content, size))
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not has_etag(file, etag_of(content, size))


def test_upload_in_unknown_parts_is_checked_by_its_mark(tmp_path, caplog):
    """Parts of an odd size cannot be recomputed: DICOM passes with a warning, a page does not."""
    content = bytes(128) + b"DICM" + bytes(MIB)
    file = tmp_path / "a"
    file.write_bytes(content)
    assert has_etag(file, etag_of(content, 600_001))
    assert "checked by its size" in caplog.text
    file.write_bytes(b"<html>" + bytes(MIB))
    assert not has_etag(file, etag_of(content, 600_001))


@given(size=st.integers(1, 80 * MIB), part=st.integers(1, 100))
def test_every_whole_size_of_parts_is_tried(size, part):
    """Whatever whole number of MiB an upload was cut by is among those tried, and all fit."""
    n_parts = -(-size // (part * MIB))
    sizes = part_sizes(size, n_parts)
    assert all(-(-size // part_bytes) == n_parts for part_bytes in sizes) and len(
        set(sizes)
    ) == len(sizes)
    assert n_parts == 1 or part * MIB in sizes
    assert sizes


@pytest.fixture
def study(server, tmp_path, monkeypatch, checkout):
    """Give what runs fetch_dataset on the bucket: twelve images with one or two masks each."""
    rng = np.random.default_rng(2)
    server.files = {f"uuid-{i}/a.dcm": rng.bytes(1000 + i) for i in range(30)}
    rows = [f"{i},1.2.{i},1.2.{12 + i} 1.2.{24 + i % 6},{'ab'[i % 2]}" for i in range(12)]
    cases = "\n".join(["image_id,image,masks,label", *rows]).encode()
    server.files["cases.csv"] = cases

    def read(folder: Path, part: str = "all") -> list[Record]:
        table = pd.read_csv(folder / "cases.csv", dtype=str)[: 3 if part == "three" else None]
        return [
            Record(name, folder / image, tuple(folder / m for m in masks.split()), label, name)
            for name, image, masks, label in table.itertuples(index=False)
        ]

    reader = SimpleNamespace(read=read)
    monkeypatch.setattr(reading, "load_reader", lambda reader_name, options: (reader, options))
    table = server.write_series(tmp_path / "series.csv")
    file = {"name": "cases.csv", "sha256": hashlib.sha256(cases).hexdigest()}
    source = {
        "files": [file | {"url": f"{server.address}/cases.csv"}],
        "bucket": server.address,
        "series": ["series.csv"],
        "connections": 4,
        "version": "test 1",
    }
    receipt = tmp_path / "results" / "raw" / "cases.json"
    main = runpy.run_path(str(checkout / "scripts/fetch_dataset.py"))["main"]

    def run(max_images, options=None):
        selection = {"max_images": max_images, "split": {"validation": 2, "seed": 1}}
        main("cases", None, source, receipt, options, [table], selection)
        return json.loads(receipt.read_text())

    return run


def test_script_fetches_the_images_that_are_prepared(server, study):
    """Of twelve images four are chosen, with all their masks; then all; then four again."""
    facts = study(4)
    chosen = {name.partition("/")[0] for name in server.names() if name.startswith("uuid-")}
    images = sorted(int(name[5:]) for name in chosen if int(name[5:]) < 12)
    masks = {f"uuid-{m}" for i in images for m in (12 + i, 24 + i % 6)}
    assert len(images) == 4 and chosen == masks | {f"uuid-{i}" for i in images}
    assert facts["n_images"] == 4 and facts["n_objects"] == len(chosen)
    assert facts["bytes"] == sum(len(server.files[f"{name}/a.dcm"]) for name in chosen)
    assert facts["version"] == "test 1" and facts["bucket"] == server.address
    assert facts["n_files"] == len(chosen) + 2  # the table of cases, the record of objects
    server.asked.clear()
    assert study(None)["n_images"] == 12
    assert len(server.names()) == 30 - len(chosen)
    server.asked.clear()
    fewer = study(4)
    assert server.asked == [] and fewer["n_images"] == 12
    assert fewer["n_objects"] == facts["n_objects"]


def test_reader_option_decides_what_is_fetched(server, study):
    """The option that prepare_dataset gives the reader chooses the fetched records as well."""
    assert study(None, {"part": "three"})["n_images"] == 3
    assert sorted(server.names())[1:] == sorted(
        f"uuid-{i}/a.dcm" for i in (0, 1, 2, 12, 13, 14, 24, 25, 26)
    )


def test_script_keeps_the_folder_when_it_fails(server, study, tmp_path):
    """A failing rerun leaves every file of the finished folder as it was."""
    study(4)
    folder = tmp_path / "results" / "raw" / "cases"

    def state():
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = state()
    server.fail("/", {"body": b"moved"}, always=True)
    with pytest.raises(InputError, match="does not list"):
        study(None)
    assert state() == before


BUCKET = {"files": [{"name": "a.csv", "url": "https://a/a.csv", "sha256": "0" * 64}]}
BUCKET |= {"bucket": "https://a", "series": ["a.csv"], "connections": 8}
ARCHIVE = {"url": "https://a/a.zip", "checksum_from": "https://zenodo.org/api/records/1"}


@pytest.mark.parametrize("source", [BUCKET, ARCHIVE])
def test_sources_are_valid(source):
    """The schema accepts a bucket, and an archive with a published MD5, and names missing keys."""
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
