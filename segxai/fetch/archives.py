"""Safe unpacking of archives that are not trusted."""

import contextlib
import errno
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

from segxai.job.log import InputError, reason

CHUNK = 2**16  # bytes
MAX_EXPANSION = 100  # unpacked bytes per byte of archive, beyond the first GiB
MAX_FILES = 1_000_000
MAX_HEADER = 2**20  # bytes of a tar entry's long name or attributes, and of zeros after the last
# System errors that the content of an archive causes; None marks an error of a library.
OF_THE_ARCHIVE = (
    *(None, errno.EEXIST, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ),
)
BY_HAND = "download it by hand and let `path` of the data set name the unpacked folder"


@contextlib.contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `folder` only when the block succeeds."""
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
    """Unpack a zip or tar archive of plain files into `folder`, which appears once complete."""
    room = 2**30 + MAX_EXPANSION * archive.stat().st_size
    with fresh_folder(folder) as root:
        try:
            for count, (name, size, is_plain, open_member) in enumerate(members(archive), 1):
                room -= size
                if room < 0 or count > MAX_FILES:
                    raise InputError(
                        f"{archive}: unpacks to far more than its size, or to more than "
                        f"{MAX_FILES:,} entries; {BY_HAND}."
                    )
                if not is_plain:
                    raise InputError(
                        f"{archive}: {name} is a link, a device, sparse or encrypted; {BY_HAND}."
                    )
                if open_member is not None:
                    target = root / safe_name(name, archive)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with open_member() as source, target.open("xb") as file:
                        shutil.copyfileobj(source, file, CHUNK)
        except (InputError, MemoryError):
            raise
        except Exception as error:  # the libraries raise dozens of kinds on a broken archive
            if getattr(error, "errno", None) not in OF_THE_ARCHIVE:
                raise
            raise InputError(
                f"{archive}: is damaged or truncated ({reason(error)}); delete it and run the same "
                "command again."
            ) from error


def safe_name(name: str, archive: Path) -> PurePosixPath:
    """Refuse a name that leads outside the folder on any system."""
    for path in (PureWindowsPath(name), PurePosixPath(name)):
        if path.anchor or ".." in path.parts or not path.parts:
            raise InputError(f"{archive}: holds '{name}', which leaves its folder; {BY_HAND}.")
    return path


Member = tuple[str, int, bool, Callable[[], BinaryIO] | None]


def members(archive: Path) -> Iterator[Member]:
    """List name, size in bytes, whether plain, and opener of each entry; folders have no opener."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                kind = stat.S_IFMT(entry.external_attr >> 16)
                plain = kind in (0, stat.S_IFREG, stat.S_IFDIR) and not entry.flag_bits & 1
                opener = None if entry.is_dir() else partial(opened.open, entry)
                yield entry.filename, entry.file_size, plain, opener
    else:
        with tarfile.open(archive, tarinfo=ModestEntry) as opened:
            for entry in opened:
                plain = (entry.isfile() or entry.isdir()) and not entry.issparse()
                opener = None if entry.isdir() else partial(opened.extractfile, entry)
                yield entry.name, entry.size, plain and entry.size >= 0, opener
            # A damaged header looks like the end; only at the true end has the checksum been
            # tested.
            opened.fileobj.seek(opened.offset)
            zeros = opened.fileobj.read(MAX_HEADER)
            if len(zeros) < tarfile.BLOCKSIZE or any(zeros) or opened.fileobj.read(1):
                raise tarfile.ReadError(f"no end where it should be, after {opened.offset} bytes")


class ModestEntry(tarfile.TarInfo):
    """Entry with a limit on its name and attributes, which tarfile reads into memory at once."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> tarfile.TarInfo:
        """Read a header."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.type not in tarfile.REGULAR_TYPES and not 0 <= entry.size <= MAX_HEADER:
            raise tarfile.ReadError(f"a header of {entry.size} bytes")
        return entry
