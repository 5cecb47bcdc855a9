"""Archives that nobody checked: unpacked as they are, or refused with nothing left on the disk."""

import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from functools import partial

import numpy as np
import pytest

from segxai.fetch.archives import extract
from tests.hostile.refusal import files_below, refused

NOISE = np.random.default_rng(0).bytes(30_000)
FILES = {f"set/images/{i}.png": NOISE[3000 * i :][:3000] for i in range(5)}
DAMAGED = "is damaged or truncated", "delete it and run the same command again"
LEAVES = "leaves its folder", "by hand"
LINK = "is a link", "by hand"
BOMB = "far more than its size", "by hand"


def as_zip(files=FILES, method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def as_tar(files=FILES, mode="w", kind=tarfile.REGTYPE, **options) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode, **options) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = len(content), kind, "/etc/passwd"
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def flipped(content: bytes, place: float) -> bytes:
    damaged = bytearray(content)
    damaged[int(place * len(content))] ^= 0xFF
    return bytes(damaged)


def twice(write) -> bytes:
    """An archive that names one file two times."""
    buffer = io.BytesIO()
    if write is as_zip:
        with zipfile.ZipFile(buffer, "w") as archive, pytest.warns(UserWarning):
            for _ in range(2):
                archive.writestr("a.png", "1")
    else:
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for _ in range(2):
                archive.addfile(tarfile.TarInfo("a.png"))
    return buffer.getvalue()


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


def encrypted() -> bytes:
    return patched(patched(as_zip(), LOCAL, 6, b"\x01"), CENTRAL, 8, b"\x01")


def unknown_method() -> bytes:
    return patched(patched(as_zip(), LOCAL, 8, b"\x63\0"), CENTRAL, 10, b"\x63\0")


def overlapping() -> bytes:
    """Several names of one and the same content."""
    return patched(as_zip(), CENTRAL, 42, struct.pack("<I", 0))


def announced(size: int) -> bytes:
    """A zip whose directory announces another size than it holds."""
    return patched(as_zip({"a": b"0" * 999}), CENTRAL, 24, struct.pack("<I", size))


def tar_header(size: bytes = b"", kind: bytes = b"0", name: str = "a.png") -> bytes:
    """A tar header with a size field of its own and the right sum."""
    header = bytearray(tarfile.TarInfo(name).tobuf())
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


END = bytes(1024)
REFUSED = {
    **{
        f"{write.__name__[3:]} cut at {kept:.0%}": (
            lambda write=write, kept=kept: write()[: int(kept * len(write()))],
            *DAMAGED,
        )
        for write in (as_zip, as_tar)
        for kept in (0.0, 0.001, 0.1, 0.2, 0.5, 0.7)
    },
    **{
        f"{kind} flipped at {place:.0%}": (
            lambda kind=kind, place=place: flipped(as_tar(mode=f"w:{kind}"), place),
            *DAMAGED,
        )
        for kind in ("gz", "bz2", "xz")
        for place in (0.0, 0.3, 0.6, 0.999)
    },
    "tar header flipped": (lambda: flipped(as_tar(), 3700 / len(as_tar())), *DAMAGED),
    "tar without its end": (lambda: as_tar()[: 5 * (512 + 3072)], *DAMAGED),
    "tar goes on after its end": (lambda: as_tar() + b"more", *DAMAGED),
    "zip of bzip2 flipped": (lambda: flipped(as_zip(method=zipfile.ZIP_BZIP2), 0.3), *DAMAGED),
    "zip of lzma flipped": (lambda: flipped(as_zip(method=zipfile.ZIP_LZMA), 0.3), *DAMAGED),
    "zip flipped": (lambda: flipped(as_zip(), 0.3), *DAMAGED),
    "zip directory flipped": (lambda: patched(as_zip(), CENTRAL, 0, b"XX"), *DAMAGED),
    "zip of an unknown method": (unknown_method, *DAMAGED),
    "zip entries overlap": (overlapping, *DAMAGED),
    "zip says too little": (lambda: announced(10), *DAMAGED),
    "zip names a file twice": (lambda: twice(as_zip), *DAMAGED),
    "tar names a file twice": (lambda: twice(as_tar), *DAMAGED),
    "zip names a file and a folder": (lambda: as_zip({"a": b"", "a/b": b""}), *DAMAGED),
    "tar names a folder and a file": (lambda: as_tar({"a/b": b"", "a": b""}), *DAMAGED),
    "zip name too long": (lambda: as_zip({"a" * 300: b""}), *DAMAGED),
    "tar name too long": (lambda: as_tar({"a" * 300: b""}), *DAMAGED),
    "text": (lambda: b"<html>moved</html>", *DAMAGED),
    "only a gz": (lambda: gzip.compress(b"image"), *DAMAGED),
    "only a bz2": (lambda: bz2.compress(b"image"), *DAMAGED),
    "only an xz": (lambda: lzma.compress(b"image"), *DAMAGED),
    **{
        f"{write.__name__[3:]} {name!r}": (lambda write=write, name=name: write({name: b"x"}), *why)
        for write in (as_zip, as_tar)
        for name, why in {
            "../evil": LEAVES,
            "a/../../evil": LEAVES,
            "/etc/evil": LEAVES,
            "//host/evil": LEAVES,
            "C:evil": LEAVES,
            "..\\evil": LEAVES,
            "\\\\host\\evil": LEAVES,
            "../a\nb\x1b[31m": LEAVES,
        }.items()
    },
    **{
        f"tar {label}": (lambda kind=kind: as_tar({"a": b""}, kind=kind), *LINK)
        for label, kind in {
            "symbolic link": tarfile.SYMTYPE,
            "hard link": tarfile.LNKTYPE,
            "pipe": tarfile.FIFOTYPE,
            "block device": tarfile.BLKTYPE,
            "character device": tarfile.CHRTYPE,
        }.items()
    },
    "tar link then a file through it": (
        lambda: as_tar({"a": b""}, kind=tarfile.SYMTYPE)[:512] + as_tar({"a/b": b"x"}),
        *LINK,
    ),
    "zip symbolic link": (
        lambda: zip_entry(external_attr=(stat.S_IFLNK | 0o777) << 16),
        "link or encrypted",
        "by hand",
    ),
    "zip pipe": (
        lambda: zip_entry(external_attr=stat.S_IFIFO << 16),
        "link or encrypted",
        "by hand",
    ),
    "zip encrypted": (encrypted, "link or encrypted", "by hand"),
    "zip bomb": (lambda: announced(2**31), *BOMB),
    "tar bomb": (lambda: gzip.compress(tar_header(b"%011o\0" % 2**31)), *BOMB),
    "tar of negative size": (
        lambda: tar_header(b"\xff" * 12) + bytes(512) + END,
        "damaged|a link",
        "by hand|again",
    ),
    "tar of endless size": (lambda: tar_header(b"\x80" + b"\xff" * 11) + END, *BOMB),
    "tar attributes say a negative size": (lambda: pax({"size": "-1024"}), "a link|damaged", "."),
    "tar attributes fill the memory": (
        lambda: gzip.compress(tar_header(b"%011o\0" % 2**29, b"x") + bytes(2**20)),
        *DAMAGED,
    ),
    "tar long name fills the memory": (
        lambda: gzip.compress(tar_header(b"%011o\0" % 2**29, b"L") + bytes(2**20)),
        *DAMAGED,
    ),
    "tar sparse": (
        lambda: tar_header(b"%011o\0" % 0, b"S") + END,
        "sparse|damaged",
        "by hand|again",
    ),
    "gz goes on for ever after the end": (
        lambda: gzip.compress(as_tar() + bytes(2**22)),
        *DAMAGED,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_hostile_archive_is_refused(tmp_path, case):
    """One sentence names the archive and the remedy; the folder is as it was, and nothing else."""
    make, problem, remedy = REFUSED[case]
    archive = tmp_path / "archive"
    archive.write_bytes(make())
    folder = tmp_path / "raw" / "set"
    folder.mkdir(parents=True)
    (folder / "old.png").write_bytes(b"old")
    refused(partial(extract, archive, folder), f"archive: .*({problem})", remedy, tmp_path)


INNER = as_zip()
NAMES = {"set/Bild ä ö.png": b"1", "set/圖 像.png": b"2", "set/a'b\"c;d.png": b"3", "set/-rf": b"4"}
HANDLED = {
    "zip stored": (lambda: as_zip(method=zipfile.ZIP_STORED), FILES),
    "zip bzip2": (lambda: as_zip(method=zipfile.ZIP_BZIP2), FILES),
    "zip lzma": (lambda: as_zip(method=zipfile.ZIP_LZMA), FILES),
    "zip after a stub": (lambda: b"#!/bin/sh\n" + as_zip(), FILES),
    "zip with unusual names": (lambda: as_zip(NAMES), NAMES),
    "zip with a folder": (lambda: as_zip({"a/": b"", "a/b": b"1"}), {"a/b": b"1"}),
    "zip without files": (lambda: as_zip({}), {}),
    "zip in a zip": (lambda: as_zip({"in.zip": INNER}), {"in.zip": INNER}),
    "tar": (as_tar, FILES),
    "tar without files": (lambda: bytes(10_240), {}),
    "tar.gz": (lambda: as_tar(mode="w:gz"), FILES),
    "tar.bz2": (lambda: as_tar(mode="w:bz2"), FILES),
    "tar.xz": (lambda: as_tar(mode="w:xz"), FILES),
    "tar of pax": (lambda: as_tar(NAMES, format=tarfile.PAX_FORMAT), NAMES),
    "tar of gnu": (lambda: as_tar(NAMES, format=tarfile.GNU_FORMAT), NAMES),
    "tar of ustar": (lambda: as_tar(format=tarfile.USTAR_FORMAT), FILES),
    "tar with a folder": (
        lambda: as_tar({"a": b""}, kind=tarfile.DIRTYPE)[:512] + as_tar({"a/b": b"1"}),
        {"a/b": b"1"},
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HANDLED)
def test_unusual_archive_is_unpacked(tmp_path, case):
    """Every file comes out as it went in, under its own name."""
    make, files = HANDLED[case]
    archive, folder = tmp_path / "archive", tmp_path / "raw" / "set"
    archive.write_bytes(make())
    extract(archive, folder)
    found = {name for name in files_below(folder) if (folder / name).is_file()}
    assert {name: (folder / name).read_bytes() for name in found} == files
    assert [path.name for path in folder.parent.iterdir()] == ["set"]


def test_folders_are_counted_too(tmp_path, monkeypatch):
    """An archive of nothing but folders is no way to fill the memory with their names."""
    monkeypatch.setattr("segxai.fetch.archives.MAX_FILES", 3)
    archive = tmp_path / "archive"
    archive.write_bytes(as_tar({f"{i}": b"" for i in range(9)}, kind=tarfile.DIRTYPE))
    call = partial(extract, archive, tmp_path / "set")
    refused(call, "more than 3 entries", "by hand", tmp_path)
