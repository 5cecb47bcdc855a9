"""Images and masks that nobody checked: right pixels, or a line in rejected.csv with the reason."""

import io
import os
import struct
import zlib
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from segxai.datasets.pairs import load_pair
from segxai.datasets.record import Record
from segxai.images.load import load_image, load_instances, load_mask
from segxai.images.masks import read_masks
from segxai.job.files import read_rows
from tests.hostile.refusal import files_below, prepare, refused, require_sentence, write_lesions
from tests.unit.pngs import TURNS

RGB = np.random.default_rng(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
GREY = RGB[..., 0]
HALF = np.zeros((20, 30), np.uint8)
HALF[:, :15] = 255
COPY = "replace it by an intact copy"


def encoded(pixels, kind="PNG", mode=None, **options) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def several(kind: str) -> bytes:
    others = [Image.fromarray(RGB[::-1])]
    return encoded(RGB, kind, save_all=True, append_images=others)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of 8-bit grey whose header announces a size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def tiff_in_a_circle() -> bytes:
    """A TIFF whose list of pictures never ends."""
    content = bytearray(encoded(GREY, "TIFF"))
    start = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, start)[0]
    struct.pack_into("<I", content, start + 2 + 12 * count, start)
    return bytes(content)


UNUSABLE = {
    "zero bytes": (b"", r"is empty \(0 bytes\)"),
    "one byte": (b"\x89", "not a readable image"),
    "text": (b"image", "not a readable image"),
    "html": (b"<html>moved</html>", "not a readable image"),
    "archive": (b"PK\x03\x04" + bytes(99), "not a readable image"),
    "pointer of git": (b"version https://git-lfs.github.com/spec/v1\n", "not a readable image"),
    "png header alone": (encoded(RGB)[:33], "not a readable image"),
    "png cut in half": (encoded(RGB)[:900], "cannot be read"),
    "png without its last bytes": (encoded(RGB)[:-30], "cannot be read"),
    "png flipped in its pixels": (flipped(encoded(RGB), 500), "cannot be read"),
    "png flipped in its header": (flipped(encoded(RGB), 20), "cannot be read|not a readable image"),
    "png of no pixels": (png(0, 0), "cannot be read|not a readable image"),
    "png without pixels": (png(8, 8), "cannot be read"),
    "png bomb": (png(60_000, 60_000, chunk(b"IDAT", zlib.compress(b""))), "bomb"),
    "png of endless text": (
        png(8, 8, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**24)))),
        "cannot be read",
    ),
    "jpeg cut in half": (encoded(RGB, "JPEG")[:700], "cannot be read"),
    "jpeg header alone": (encoded(RGB, "JPEG")[:30], "cannot be read|not a readable image"),
    "tiff cut in half": (encoded(RGB, "TIFF")[:500], "cannot be read|not a readable image"),
    "tiff of lzw cut": (encoded(RGB, "TIFF", compression="tiff_lzw")[:900], "not a readable image"),
    "tiff of fractions": (encoded(GREY.astype(np.float32), "TIFF"), "32-bit pixels"),
    "tiff of NaN": (encoded(np.full((20, 30), np.nan, np.float32), "TIFF"), "32-bit pixels"),
    "tiff of 32 bits": (encoded(GREY.astype(np.int32), "TIFF"), "32-bit pixels"),
    "tiff of several pages": (several("TIFF"), "several frames"),
    "animated png": (several("PNG"), "several frames"),
    "gif": (encoded(RGB, "GIF"), "not a readable image"),
    "postscript": (encoded(RGB, "EPS"), "not a readable image"),
    "pdf": (encoded(RGB, "PDF"), "not a readable image"),
    "icon": (encoded(RGB, "ICO"), "not a readable image"),
}
UNUSABLE_MASKS = {
    "other size": (encoded(HALF[:10]), "is 30×10 pixels but its image 30×20"),
    "turned": (encoded(HALF.T), "is 20×30 pixels but its image 30×20"),
    "class numbers": (encoded(HALF // 255 * np.uint8(2)), r"brightest value is 2\)"),
    "dim": (encoded(HALF // 2), r"brightest value is 127\)"),
    "dim jpeg": (encoded(HALF // 3, "JPEG"), "brightest value is 8"),
    "16-bit numbers": (encoded((HALF // 255).astype(np.uint16) * 500), r"brightest value is 500\)"),
    "transparency alone": (
        encoded(np.dstack([np.zeros_like(RGB), HALF])),
        "its shape is in its transparency",
    ),
    "transparency of grey alone": (
        encoded(Image.fromarray(np.dstack([HALF * 0, HALF]), "LA")),
        "its shape is in its transparency",
    ),
    "fractions": (encoded(HALF / np.float32(255), "TIFF"), "32-bit pixels"),
}
# A palette whose second colour is a dark red.
PALETTE = Image.fromarray(HALF // 255).convert("P")
PALETTE.putpalette([0, 0, 0, 128, 0, 0])
UNUSABLE_MASKS["red palette"] = (encoded(PALETTE), "it has colours")


@pytest.mark.parametrize("part", ["images", "masks"])
@pytest.mark.parametrize("case", UNUSABLE)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_unusable_file_is_refused_by_its_name(tmp_path, case, part):
    """One sentence names the file, what is wrong with it, and to replace it."""
    content, problem = UNUSABLE[case]
    path = tmp_path / "a b.png"
    path.write_bytes(content)
    load = load_image if part == "images" else load_mask
    refused(partial(load, path), f"^{path}: .*({problem})", COPY, tmp_path)


EITHER = {f"image {case}": ("images", *UNUSABLE[case]) for case in UNUSABLE}
EITHER |= {f"mask {case}": ("masks", *UNUSABLE_MASKS[case]) for case in UNUSABLE_MASKS}


@pytest.mark.parametrize("case", EITHER)
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_unusable_file_is_counted_or_stops_the_run(tmp_path, case):
    """rejected.csv names image and reason, other rows stay; without leave nothing is written."""
    part, content, problem = EITHER[case]
    folder, out = write_lesions(tmp_path / "set"), tmp_path / "out"
    (folder / part / "4.png").write_bytes(content)
    out.mkdir()
    refused(partial(prepare, folder, out), problem, "`max_rejected`", out)
    prepare(folder, out, max_rejected=1)
    rejected = pd.read_csv(out / "rejected.csv")
    assert rejected.file.tolist() == ["images/4.png"]
    assert rejected.reason[0].startswith(f"{part}/4.png: ")
    require_sentence(rejected.reason[0])
    samples = read_rows(out / "samples.csv")
    assert samples.image_id.tolist() == ["0", "1", "2", "3", "5"]
    assert len(np.load(out / "images.npy", allow_pickle=False)) == 5
    masks = read_masks(out / "masks.npy", out / "masks.csv", samples)
    assert [int(mask.sum()) for mask in masks] == samples.mask_pixels.tolist()
    assert files_below(out) == {f"{name}.csv" for name in ("masks", "rejected", "samples")} | {
        "images.npy",
        "masks.npy",
    }


def test_missing_files_are_counted(tmp_path):
    """A missing file, a link to nowhere and a folder under an image's name are each rejected."""
    folder, out = write_lesions(tmp_path / "set", 12), tmp_path / "out"
    images, masks = folder / "images", folder / "masks"
    (images / "1.png").unlink()
    for path in (images / "2.png", masks / "2.png", masks / "4.png"):
        path.unlink()
        path.symlink_to("/no/such/annex/object")
    (masks / "5.png").unlink()
    (masks / "5.png").mkdir()
    (images / "7.png").unlink()
    (images / "7.png").symlink_to("7.png")
    prepare(folder, out, max_rejected=9)
    rejected = pd.read_csv(out / "rejected.csv")
    assert rejected.file.tolist() == [f"images/{i}.png" for i in (1, 2, 4, 5, 7)]
    for reason in rejected.reason:
        require_sentence(reason)
    assert len(read_rows(out / "samples.csv")) == 7


def test_masks_of_classes_are_one_sentence(tmp_path):
    """With a third value in every mask the run stops, however many images may be rejected."""
    folder, out = write_lesions(tmp_path / "set"), tmp_path / "out"
    for path in (folder / "masks").iterdir():
        path.write_bytes(encoded(np.where(GREY > 99, HALF, HALF // 2)))
    refused(partial(prepare, folder, out), "0.png: is not a mask of two values", "as white")
    call = partial(prepare, folder, out, max_rejected=99)
    refused(call, "set: no train image can be used", "intact copies")


def test_images_of_twelve_bits_are_read_by_their_bits(tmp_path):
    """Without `bits` a sentence that names it; with it the whole range, in dark images as well."""
    folder, out = write_lesions(tmp_path / "set"), tmp_path / "out"
    for i, path in enumerate(sorted((folder / "images").iterdir())):
        deep = GREY.astype(np.uint16) * 16 // (1 + i)
        path.write_bytes(encoded(deep))
    refused(partial(prepare, folder, out), "of 65535", "`bits` of the data set")
    prepare(folder, out, bits=12)
    images = np.load(out / "images.npy", allow_pickle=False)
    for i, image in enumerate(images):
        assert abs(image.mean() - GREY.mean() / (1 + i)) < 2


@pytest.mark.parametrize("side", ["train", "validation"])
def test_an_empty_side_stops_the_run(tmp_path, side):
    """With all images of one side rejected, however many are allowed, there is nothing to go on."""
    folder, out = write_lesions(tmp_path / "set"), tmp_path / "out"
    prepare(folder, out)
    samples = read_rows(out / "samples.csv")
    for source in samples.source[samples.split == side]:
        (folder / source).write_bytes(b"")
    call = partial(prepare, folder, out, max_rejected=99)
    refused(call, f"set: no {side} image can be used", "intact copies", tmp_path)


def oriented(pixels, orientation: int, kind="PNG") -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return encoded(pixels, kind, exif=exif)


COLOURS = Image.fromarray(GREY // 64).convert("P")
COLOURS.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
DEEP = GREY.astype(np.uint16) * 257
IMAGES = {
    "rgb": (encoded(RGB), RGB),
    "jpeg called png": (
        encoded(RGB, "JPEG"),
        np.asarray(Image.open(io.BytesIO(encoded(RGB, "JPEG")))),
    ),
    "tiff called png": (encoded(RGB, "TIFF"), RGB),
    "bmp called png": (encoded(RGB, "BMP"), RGB),
    "interlaced tiff of lzw": (encoded(RGB, "TIFF", compression="tiff_lzw"), RGB),
    "grey": (encoded(GREY), GREY),
    "1 bit": (encoded(HALF, mode="1"), HALF),
    "grey and alpha": (encoded(Image.fromarray(np.dstack([GREY, HALF]), "LA")), GREY),
    "colours and alpha": (encoded(np.dstack([RGB, HALF])), RGB),
    "16-bit png": (encoded(DEEP), GREY),
    "16-bit tiff": (encoded(DEEP, "TIFF"), GREY),
    "palette": (
        encoded(COLOURS),
        np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)[GREY // 64],
    ),
    "tiff in a circle": (tiff_in_a_circle(), GREY),
    "trailing bytes": (encoded(RGB) + b"more", RGB),
    **{f"orientation {code}": (oriented(RGB, code), turn(RGB)) for code, turn in TURNS.items()},
    "an orientation that is none": (oriented(RGB, 77), RGB),
    "preview behind a photograph": (several("MPO"), "jpeg"),
    "one pixel": (encoded(RGB[:1, :1]), RGB[:1, :1]),
    "one row": (encoded(RGB[:1]), RGB[:1]),
}


@pytest.mark.parametrize("case", IMAGES)
def test_unusual_image_has_the_right_pixels(tmp_path, case):
    """Whatever its depth, colours, orientation and name, the image is what a viewer shows."""
    content, expected = IMAGES[case]
    path = tmp_path / "Bild 1 – ä圖.png"
    path.write_bytes(content)
    image = load_image(path)
    if isinstance(expected, str):
        expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=2)
    np.testing.assert_array_equal(image, expected)


def test_cmyk_is_converted(tmp_path):
    """Pure cyan ink of a CMYK JPEG is cyan."""
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG"))
    assert np.abs(load_image(path).astype(int) - [0, 255, 255]).max() <= 3


MASKS = {
    "0 and 255": encoded(HALF),
    "0 and 1": encoded(HALF // 255),
    "1 bit": encoded(HALF, mode="1"),
    "16 bits": encoded(HALF.astype(np.uint16) * 257),
    "16 bits of 0 and 1": encoded(HALF.astype(np.uint16) // 255),
    "16-bit tiff of 0 and 1": encoded(HALF.astype(np.uint16) // 255, "TIFF"),
    "colours": encoded(np.repeat(HALF[..., None], 3, axis=2)),
    "opaque": encoded(np.dstack([HALF] * 3 + [HALF | 255])),
    "transparent where black": encoded(np.dstack([HALF] * 4)),
    "jpeg": encoded(HALF, "JPEG", quality=95),
    "palette": encoded(Image.fromarray(HALF).convert("P")),
    "cmyk": encoded(Image.fromarray(np.repeat(HALF[..., None], 3, axis=2)), "TIFF", mode="CMYK"),
    "turned": oriented(np.rot90(HALF), 6),
}


@pytest.mark.parametrize("case", MASKS)
def test_unusual_mask_has_the_right_shape(tmp_path, case):
    """However black and white are stored, the left half is foreground."""
    path = tmp_path / "m.png"
    path = path.with_suffix(".jpg") if case == "jpeg" else path
    path.write_bytes(MASKS[case])
    np.testing.assert_array_equal(load_mask(path), HALF > 0)


@pytest.mark.parametrize(("value", "share"), [(0, 0), (1, 1), (255, 1)])
def test_empty_and_full_masks_are_masks(tmp_path, value, share):
    """Nothing or everything may be foreground, and is counted as such."""
    folder, out = write_lesions(tmp_path / "set"), tmp_path / "out"
    (folder / "masks" / "4.png").write_bytes(encoded(np.full((20, 30), value, np.uint8)))
    prepare(folder, out)
    assert read_rows(out / "samples.csv").mask_pixels[4] == share * 16 * 16


@pytest.mark.parametrize(
    "content",
    [
        encoded(RGB),
        encoded(np.zeros((20, 30), np.float32), "TIFF"),
        encoded(np.full((20, 30), -1, np.int32), "TIFF"),
    ],
    ids=["colours", "fractions", "negative"],
)
def test_files_without_object_numbers_are_refused(tmp_path, content):
    """Numbers of objects are whole, not negative, and in one channel."""
    path = tmp_path / "ids.tif"
    path.write_bytes(content)
    refused(partial(load_instances, path), "ids.tif: .*no instance ids", "by the original")


def test_names_are_kept_as_they_are(tmp_path):
    """Spaces, dots and letters of any script come back in the table and find their mask."""
    names = ["a b", "Ä.1", "圖像", "naïve (2)", "x'y", "-rf", "100%"]
    folder, out = write_lesions(tmp_path / "my set", len(names)), tmp_path / "my out"
    for i, name in enumerate(names):
        for part in ("images", "masks"):
            (folder / part / f"{i}.png").rename(folder / part / f"{name}.png")
    labels = pd.DataFrame({"image_id": names, "label": "lesion"})
    labels.to_csv(folder / "labels.csv", index=False)
    prepare(folder, out)
    samples = read_rows(out / "samples.csv")
    assert samples.image_id.tolist() == sorted(names)
    by_name = samples.set_index("image_id").mask_pixels
    assert by_name[names].tolist() == [0, 64, 128, 0, 64, 128, 0]


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31m", os.fsdecode(b"\xff\xfe")])
def test_names_that_are_not_text_are_refused(tmp_path, name):
    """Line breaks, codes of a terminal and bytes outside UTF-8 cannot be written in a table."""
    folder, out = write_lesions(tmp_path / "set"), tmp_path / "out"
    for part in ("images", "masks"):
        (folder / part / "0.png").rename(folder / part / f"{name}.png")
    call = partial(prepare, folder, out, reader="kvasir_seg", classes=["polyp", "none"])
    refused(call, "holds codes that are not text", "rename it", tmp_path / "set")


def test_a_mask_of_another_size_may_be_stretched(tmp_path):
    """With `mask_mismatch: resize` the pair is kept and flagged."""
    for name, pixels in (("a", RGB), ("m", HALF[:10])):
        (tmp_path / f"{name}.png").write_bytes(encoded(pixels))
    record = Record("a", tmp_path / "a.png", tmp_path / "m.png", "lesion", "a")
    pair = load_pair(record, 16, mask_mismatch="resize")
    assert pair.resized and pair.masks[0][:, :7].all() and not pair.masks[0][:, 9:].any()
