"""Archives that nobody checked: unpacked as they are, or refused with nothing left on the disk."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from functools import partial

import numpy as np
import pytest

from segxai.fetch.archives import extract, fresh_folder
from tests.hostile.refusal import files_below, refused

NOISE = np.random.default_rng(0).bytes(30_000)
FILES = {f"set/images/{i}.png": NOISE[3000 * i :][:3000] for i in range(5)} | {"set/empty": b""}


def as_zip(files=FILES, method=zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of named contents: a dictionary, or pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings(action="ignore"):
        for name, content in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, content)
    return buffer.getvalue()


def as_tar(files=FILES, mode="w", kind=tarfile.REGTYPE, **options) -> bytes:
    """A tar of named contents, all of one kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:
        for name, content in files.items() if isinstance(files, dict) else files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = len(content), kind, "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def flipped(content: bytes, place: float) -> bytes:
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 0xFF
    return bytes(damaged)


def cut(content: bytes, share: float) -> bytes:
    return content[: int(share * len(content))]


def zip_entry(**attributes) -> bytes:
    """A zip with one entry whose attributes are set before it is written."""
    buffer, entry = io.BytesIO(), zipfile.ZipInfo("a.png")
    for name, value in attributes.items():
        setattr(entry, name, value)
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(entry, "content")
    return buffer.getvalue()


def patched(content: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """Overwrite bytes after each `mark`: fields of zip headers."""
    out, start = bytearray(content), 0
    while (place := content.find(mark, start)) >= 0:
        out[place + offset : place + offset + len(new)] = new
        start = place + 1
    return bytes(out)


LOCAL, CENTRAL = b"PK\x03\x04", b"PK\x01\x02"


def announced(size: int) -> bytes:
    """A zip whose directory announces another size than it holds."""
    return patched(as_zip({"a": b"0" * 999}), CENTRAL, 24, struct.pack("<I", size))


def tar_header(size: bytes = b"", kind: bytes = b"0") -> bytes:
    """A tar header with a size field of its own and the right sum."""
    header = bytearray(tarfile.TarInfo("a.png").tobuf())
    header[156:157] = kind
    if size:
        header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax(records: dict[str, str]) -> bytes:
    """A tar whose entry is described by extended attributes."""
    entry = tarfile.TarInfo("a.png")
    entry.pax_headers, entry.size = records, 3
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(b"abc"))
    return buffer.getvalue()


END, HUGE, WRITERS = bytes(1024), b"%011o\0" % 2**31, (as_zip, as_tar)
LEAVING = ["../evil", "a/../../evil", "/etc/evil", "//host/evil", "C:evil", "C:\\evil", "..\\evil"]
LEAVING += ["a\\..\\..\\evil", "\\\\host\\evil", "../a\nb\x1b[31m"]
DAMAGED = {
    **{
        f"{write.__name__[3:]} cut at {share:.0%}": cut(write(), share)
        for write in WRITERS
        for share in (0.0, 0.001, 0.1, 0.2, 0.5, 0.7, 0.9)
    },
    **{
        f"{kind} flipped at {place:.0%}": flipped(as_tar(mode=f"w:{kind}"), place)
        for kind in ("gz", "bz2", "xz")
        for place in (0.0, 0.3, 0.6, 0.999)
    },
    **{
        f"{write.__name__[3:]} {what}": write(files)
        for write in WRITERS
        for what, files in {
            "names a file twice": [("a", b"1"), ("a", b"1")],
            "names a file and a folder": {"a": b"", "a/b": b""},
            "names a folder and a file": {"a/b": b"", "a": b""},
            "has too long a name": {"a" * 300: b""},
        }.items()
    },
    **{
        f"zip of method {method} flipped": flipped(as_zip(method=method), 0.3)
        for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    },
    "tar.gz cut": cut(as_tar(mode="w:gz"), 0.9),
    "tar header flipped": flipped(as_tar(), 3700 / len(as_tar())),
    "tar without its end": as_tar()[: 5 * (512 + 3072) + 512],
    "tar goes on after its end": as_tar() + b"more",
    "gz goes on for ever after the end": gzip.compress(as_tar() + bytes(2**22)),
    "zip directory flipped": patched(as_zip(), CENTRAL, 0, b"XX"),
    "zip of an unknown method": patched(
        patched(as_zip(), LOCAL, 8, b"\x63\0"), CENTRAL, 10, b"\x63\0"
    ),
    "zip entries overlap": patched(as_zip(), CENTRAL, 42, struct.pack("<I", 0)),
    "zip says too little": announced(10),
    "text": b"<html>moved</html>",
    "only a gz": gzip.compress(b"image"),
    "only a bz2": bz2.compress(b"image"),
    "only an xz": lzma.compress(b"image"),
}
KINDS = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.BLKTYPE, tarfile.CHRTYPE]
KINDS += [tarfile.GNUTYPE_SPARSE]
DANGEROUS = {
    **{
        f"{write.__name__[3:]} {name!r}": (write({"good": b"1", name: b"x"}), "leaves its folder")
        for write in WRITERS
        for name in LEAVING
    },
    **{
        f"tar of kind {kind!r}": (as_tar({"a": b""}, kind=kind), "is a link, a device")
        for kind in KINDS
    },
    "tar link then a file through it": (
        as_tar({"a": b""}, kind=tarfile.SYMTYPE)[:512] + as_tar({"a/b": b"x"}),
        "is a link",
    ),
    **{
        f"zip of kind {kind}": (
            zip_entry(external_attr=(kind | 0o777) << 16),
            "is a link, a device",
        )
        for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFBLK)
    },
    "zip encrypted": (
        patched(patched(as_zip(), LOCAL, 6, b"\x01"), CENTRAL, 8, b"\x01"),
        "encrypted",
    ),
    "zip bomb": (announced(2**31), "far more than its size"),
    "tar bomb": (gzip.compress(tar_header(HUGE)), "far more than its size"),
    "tar of endless size": (tar_header(b"\x80" + b"\xff" * 11) + END, "far more than its size"),
    "tar attributes say a negative size": (pax({"size": "-1024"}), "is a link"),
    "tar of negative size": (tar_header(b"\xff" * 12) + bytes(512) + END, "is a link"),
}
REFUSED = {name: (content, "is damaged or truncated", "again") for name, content in DAMAGED.items()}
REFUSED |= {name: (*entry, "by hand") for name, entry in DANGEROUS.items()}


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_archive_is_refused(tmp_path, case):
    """One sentence names the archive and the remedy; the folder is as it was, and nothing else."""
    content, problem, remedy = REFUSED[case]
    archive, folder = tmp_path / "archive", tmp_path / "raw" / "set"
    archive.write_bytes(content)
    folder.mkdir(parents=True)
    (folder / "old.png").write_bytes(b"old")
    refused(partial(extract, archive, folder), f"archive: .*({problem})", remedy, tmp_path)


NAMES = {"set/Bild ä ö.png": b"1", "set/圖 像.png": b"2", "set/a'b\"c;d.png": b"3", "set/-rf": b"4"}
FOLDER = as_tar({"./": b"", "a": b""}, kind=tarfile.DIRTYPE)[:1024]
HANDLED = {
    **{f"zip of method {method}": (as_zip(method=method), FILES) for method in (0, 8, 12, 14)},
    **{f"tar of {kind}": (as_tar(mode=f"w:{kind}"), FILES) for kind in ("", "gz", "bz2", "xz")},
    **{f"tar of format {kind}": (as_tar(NAMES, format=kind), NAMES) for kind in (1, 2)},
    "tar of ustar": (as_tar(format=tarfile.USTAR_FORMAT), FILES),
    "tar with folders": (FOLDER + as_tar({"a/b": b"1"}), {"a/b": b"1"}),
    "tar without files": (bytes(10_240), {}),
    "zip after a stub": (b"#!/bin/sh\n" + as_zip(), FILES),
    "zip with unusual names": (as_zip(NAMES), NAMES),
    "zip with a folder": (as_zip({"a/": b"", "a/b": b"1"}), {"a/b": b"1"}),
    "zip without files": (as_zip({}), {}),
    "zip in a zip": (as_zip({"in.zip": as_zip()}), {"in.zip": as_zip()}),
}


@pytest.mark.parametrize("case", HANDLED)
def test_unusual_archive_is_unpacked(tmp_path, case):
    """Every file comes out under its own name in place of an older folder, and nothing else."""
    content, files = HANDLED[case]
    archive, folder = tmp_path / "archive", tmp_path / "raw" / "set"
    archive.write_bytes(content)
    folder.mkdir(parents=True)
    (folder / "old").touch()
    extract(archive, folder)
    names = {name for name in files_below(folder) if (folder / name).is_file()}
    assert {name: (folder / name).read_bytes() for name in names} == files
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_tar_headers_do_not_fill_the_memory(tmp_path, kind):
    """A name or attributes of 64 MiB, out of 64 kB, are refused before they are read."""
    archive = tmp_path / "archive"
    archive.write_bytes(gzip.compress(tar_header(b"%011o\0" % 2**26, kind) + bytes(2**26)))
    tracemalloc.start()
    try:
        refused(partial(extract, archive, tmp_path / "set"), "damaged", "again", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_folders_are_counted_too(tmp_path, monkeypatch):
    """An archive of many folders does not fill the memory with their names."""
    monkeypatch.setattr("segxai.fetch.archives.MAX_FILES", 3)
    archive = tmp_path / "archive"
    archive.write_bytes(as_tar({f"{i}": b"" for i in range(9)}, kind=tarfile.DIRTYPE))
    call = partial(extract, archive, tmp_path / "set")
    refused(call, "more than 3 entries", "by hand", tmp_path)


def test_fresh_folder_replaces_only_on_success(tmp_path):
    """A failure leaves the old folder as it was; what a killed run left gets into no folder."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set/old").touch()
    with pytest.raises(ZeroDivisionError), fresh_folder(tmp_path / "set") as fresh:
        (fresh / "new").touch()
        _ = 1 / 0
    assert files_below(tmp_path) == {"set", "set/old"}
    (tmp_path / ".set.new/set").mkdir(parents=True)
    (tmp_path / ".set.new/set/half").touch()
    with fresh_folder(tmp_path / "set") as fresh:
        (fresh / "new").touch()
    assert files_below(tmp_path) == {"set", "set/new"}
