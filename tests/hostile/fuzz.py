"""Random damage to files that are sound, and what the readers make of it.

``python -m tests.hostile.fuzz 600 1000`` goes on for ten minutes from seed 1000 and counts; the
seed is the number of the mutation, so that any finding can be made again.
"""

import io
import json
import pickle
import resource
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from pydicom import dcmread
from pydicom.uid import RLELossless

from segxai.datasets.cbis_ddsm import identify
from segxai.datasets.chestx_det10 import read_findings
from segxai.fetch.archives import extract
from segxai.images.arrays import read_array
from segxai.images.load import load_image, load_instances, load_mask
from segxai.job.files import read_facts, read_rows, read_table
from segxai.job.log import InputError
from segxai.networks.weights import read_state_dict
from tests.hostile.refusal import require_sentence
from tests.unit.dicoms import write_dicom

WORDS = [
    b"\0" * 4,
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"9" * 12,
    b"-1",
    b"\n",
    b",",
    b'"',
]


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Flip, overwrite, cut out, repeat, exchange or cut off some bytes; mostly few of them."""
    out = bytearray(content)
    for _ in range(1 + rng.geometric(0.4)):
        place, length = (int(n) for n in rng.integers(0, len(out) + 1, 2))
        length = min(length, int(rng.geometric(0.05)))
        kind = rng.integers(8)
        if kind < 2 and place < len(out):
            out[place] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            out[place : place + length] = rng.bytes(length)
        elif kind == 3:
            word = WORDS[rng.integers(len(WORDS))]
            out[place : place + len(word)] = word
        elif kind == 4:
            del out[place : place + length]
        elif kind == 5:
            out[place:place] = out[place : place + length] * int(rng.integers(1, 5))
        elif kind == 6:
            other = int(rng.integers(0, len(out) + 1))
            out[place : place + length] = out[other : other + length]
        elif rng.random() < 0.2:
            del out[place:]
    return bytes(out)


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def archive(mode: str) -> bytes:
    files = {f"a/{i}.png": np.random.default_rng(i).bytes(300) for i in range(3)}

    def write(buffer):
        if mode.startswith("zip"):
            method = {"zip": 8, "zip-bzip2": 12, "zip-lzma": 14, "zip-stored": 0}[mode]
            with zipfile.ZipFile(buffer, "w", method) as opened:
                for name, content in files.items():
                    opened.writestr(zipfile.ZipInfo(name), content, compress_type=method)
        else:
            kind = tarfile.PAX_FORMAT if "pax" in mode else tarfile.GNU_FORMAT
            with tarfile.open(fileobj=buffer, mode=f"w:{mode[4:]}", format=kind) as opened:
                for name, content in files.items():
                    entry = tarfile.TarInfo("ä" * 60 + name)
                    entry.size = len(content)
                    opened.addfile(entry, io.BytesIO(content))

    return written(write)


def pictures() -> Iterator[bytes]:
    rgb = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[274] = 6
    for pixels, kind, options in (
        (rgb, "PNG", {"exif": exif}),
        (rgb, "JPEG", {"exif": exif}),
        (rgb, "JPEG", {"progressive": True}),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb[..., 0].astype(np.uint16) * 99, "TIFF", {}),
        (rgb[..., 0].astype(np.uint16) * 99, "PNG", {}),
        (rgb[..., 0] > 99, "PNG", {}),
        (rgb, "BMP", {}),
    ):
        image = Image.fromarray(pixels)
        yield written(lambda b, i=image, k=kind, o=options: i.save(b, k, **o))
    yield written(lambda b: Image.fromarray(rgb).convert("P").save(b, "PNG"))


def radiographs(folder: Path) -> Iterator[bytes]:
    deep = np.random.default_rng(0).integers(0, 4096, (16, 16), dtype=np.uint16)
    window = {"WindowCenter": 2000, "WindowWidth": 900, "SeriesInstanceUID": "1.2.3.4.5.6"}
    yield write_dicom(folder / "a.dcm", deep, BitsStored=12, **window).read_bytes()
    yield write_dicom(folder / "a.dcm", deep.astype(np.int16), RescaleSlope=2).read_bytes()
    dataset = dcmread(write_dicom(folder / "a.dcm", deep.astype(np.uint8)))
    dataset.compress(RLELossless)
    dataset.save_as(folder / "a.dcm")
    yield (folder / "a.dcm").read_bytes()


def states() -> Iterator[bytes]:
    state = {"a.weight": torch.arange(20.0), "b": torch.ones(3, 4).half()}
    yield written(lambda b: torch.save({"teacher": state, "epoch": 3}, b))
    yield written(lambda b: torch.save(state, b, _use_new_zipfile_serialization=False))
    yield pickle.dumps({"a": [1, 2.0, "x"]})


TABLE = 'image_id,label,group\n0012,lesion,ä\n0013,none,"b\nc"\n0014,lesion,d\n'.encode()
BOXES = json.dumps(
    [{"file_name": f"{i}.png", "syms": ["Mass"], "boxes": [[1, 2, 3, 4]]} for i in range(3)]
)
MODES = ["zip", "zip-stored", "zip-bzip2", "zip-lzma", "tar:", "tar:gz", "tar:bz2", "tar:xz"]


def targets(folder: Path) -> dict[str, tuple[list[bytes], str, list[Callable]]]:
    """Sound files, their name, and the functions that read them."""
    array = np.random.default_rng(0).random((4, 6)).astype(np.float16)
    arrays = [
        written(lambda b, a=a: np.save(b, a)) for a in (array, array > 0.5, array.astype(">f8"))
    ]
    return {
        "archives": (
            [archive(mode) for mode in MODES],
            "set",
            [lambda path: extract(path, path.parent / "out")],
        ),
        "images": (list(pictures()), "a.png", [load_image, load_mask, load_instances]),
        "dicom": (
            list(radiographs(folder)),
            "a.dcm",
            [load_image, lambda path: identify(path.parent)],
        ),
        "tables": (
            [TABLE],
            "a.csv",
            [lambda path: read_table(path, ["image_id", "label"]), read_rows],
        ),
        "json": ([BOXES.encode()], "a.json", [read_findings, read_facts]),
        "arrays": (arrays, "a.npy", [read_array]),
        "torch files": (list(states()), "a.pt", [read_state_dict]),
        "safetensors": (
            [safetensors.torch.save({"a": torch.arange(20.0), "b": torch.ones(3).half()})],
            "a.safetensors",
            [read_state_dict],
        ),
    }


def fuzz(
    name: str, folder: Path, seeds: range, seconds: float = 1e9, failures: list | None = None
) -> Counter:
    """Damage the files of a target with each seed in turn; count what was read and refused.

    What is wrong is added to `findings`, if there is such a list.

    Raises
    ------
    AssertionError
        If a mutation ends in anything but a result or one sentence, leaves a file behind, takes
        more than 10 seconds or more than 2 GB of memory.
    """
    (folder / name).mkdir(parents=True)
    sound, file, readers = targets(folder / name)[name]
    place = folder / name / "here"
    place.mkdir()
    counts, started = Counter(), time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        rng = np.random.default_rng(seed)
        content = damaged(sound[rng.integers(len(sound))], rng)
        for read in readers:
            path = place / file
            path.write_bytes(content)
            try:
                counts[attempt(read, path)] += 1
            except Exception as error:
                if failures is None:
                    raise AssertionError(f"{name}, seed {seed}") from error
                failures.append(f"{name}, seed {seed}: {type(error).__name__}: {error}")
        if time.monotonic() - started > seconds:
            break
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2e6, f"{name}: memory grew by {grown} kB"
    return counts


def attempt(read: Callable, path: Path) -> str:
    """Read a file; return whether it was read or refused."""
    started = time.monotonic()
    try:
        read(path)
        outcome = "read"
    except InputError as error:
        require_sentence(str(error))
        outcome = "refused"
    assert time.monotonic() - started < 10, "takes longer than 10 s"
    left = sorted(
        entry.name for entry in path.parent.iterdir() if entry.name not in (path.name, "out")
    )
    assert not left, f"leaves {left}"
    return outcome


def main(seconds: float, start: int = 1000) -> None:
    """Fuzz every target for its share of the time, from a seed on, and print the outcomes."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        names = list(targets(Path(folder)))
        for name in names:
            place, failures = Path(tempfile.mkdtemp(dir=folder)), []
            seeds = range(start, sys.maxsize)
            counts = fuzz(name, place, seeds, seconds / len(names), failures)
            print(f"{name}: {dict(counts)}, {len(failures)} findings", *failures[:20], sep="\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
