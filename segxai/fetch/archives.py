"""Archives, unpacked without trusting them."""

import contextlib
import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from segxai.job.log import InputError, reason

CHUNK = 2**16  # bytes
MAX_EXPANSION = 100  # unpacked bytes per byte of archive, beyond the first GiB
MAX_FILES = 1_000_000
MAX_HEADER = 2**20  # bytes of a tar entry's long name or attributes, and of zeros after the last
# What the standard library raises on a broken archive.
DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError,
    NotImplementedError, OverflowError, ValueError,
)  # fmt: skip
# Errors of the system that names and places in an archive cause.
OF_THE_ARCHIVE = (
    *(None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ),
)
BY_HAND = "download it by hand and let `path` of the data set name the unpacked folder"


@contextlib.contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder that replaces `folder` only when the block succeeds."""
    scratch = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    fresh = scratch / folder.name
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if folder.exists():
            folder.rename(scratch / f"{folder.name}.old")
        fresh.rename(folder)
    finally:
        shutil.rmtree(scratch)


def extract(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar archive of plain files into `folder`, which appears when it is whole."""
    with fresh_folder(folder) as root:
        try:
            unpack(archive, root)
        except (*DAMAGED, OSError) as error:
            # What the disk refuses has a number, what bz2 does has none.
            if isinstance(error, OSError) and error.errno not in OF_THE_ARCHIVE:
                raise
            raise InputError(
                f"{archive}: is damaged or truncated ({reason(error)}); delete it and run the same "
                "command again."
            ) from error


def unpack(archive: Path, root: Path) -> None:
    """Write the members of an archive into the empty folder `root`."""
    limit = 2**30 + MAX_EXPANSION * archive.stat().st_size
    for count, (name, size, open_member) in enumerate(members(archive), 1):
        limit -= size
        if limit < 0 or count > MAX_FILES:
            raise InputError(f"{archive}: unpacks to far more than its size; {BY_HAND}.")
        target = root / safe_name(name, archive)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open_member() as source, target.open("xb") as file:
            shutil.copyfileobj(source, file, CHUNK)


Member = tuple[str, int, Callable[[], BinaryIO]]


def members(archive: Path) -> Iterator[Member]:
    """List the plain files of an archive: name, size in bytes, and how to open them."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or entry.flag_bits & 1:
                    raise InputError(
                        f"{archive}: {entry.filename} is a link or encrypted; {BY_HAND}."
                    )
                if not entry.is_dir():
                    yield entry.filename, entry.file_size, partial(opened.open, entry)
    else:
        with tarfile.open(archive, tarinfo=ModestEntry) as opened:
            for count, entry in enumerate(opened):
                if count > MAX_FILES:
                    raise InputError(f"{archive}: holds more than {MAX_FILES} entries; {BY_HAND}.")
                if not (entry.isfile() or entry.isdir()) or entry.issparse() or entry.size < 0:
                    raise InputError(
                        f"{archive}: {entry.name} is a link or device, or sparse; {BY_HAND}."
                    )
                if entry.isfile():
                    yield entry.name, entry.size, partial(opened.extractfile, entry)
            require_end(opened)


class ModestEntry(tarfile.TarInfo):
    """An entry whose name and attributes, which are read into memory at once, are not large."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        """Read a header."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type not in tarfile.REGULAR_TYPES and not 0 <= entry.size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {entry.size} bytes")
        return entry


def require_end(opened: tarfile.TarFile) -> None:
    """Refuse an archive that does not end with zeros: a damaged header looks like its end.

    Reading on to the very end also lets the decompression check its sum.
    """
    opened.fileobj.seek(opened.offset)
    zeros = opened.fileobj.read(MAX_HEADER)
    if len(zeros) < tarfile.BLOCKSIZE or any(zeros) or opened.fileobj.read(1):
        raise tarfile.ReadError(f"no end where it should be, after {opened.offset} bytes")


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """Refuse a name that would be written outside the folder, on any system."""
    for path in (PureWindowsPath(name), PurePosixPath(name)):
        if path.anchor or ".." in path.parts or not path.parts:
            raise InputError(f"{archive}: holds '{name}', which leaves its folder; {BY_HAND}.")
    return path
