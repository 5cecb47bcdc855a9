"""Loaded pixels of all kinds of files; bad files give one sentence."""

import contextlib
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from segxai.datasets.pairs import load_pair
from segxai.datasets.record import Finding, Record
from segxai.images.arrays import npy_rows
from segxai.images.load import load_image, load_mask, measure_channels, resize_image, resize_mask
from segxai.job.log import InputError

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def saved(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_rgb_is_kept(tmp_path):
    """An 8-bit RGB file comes back unchanged."""
    np.testing.assert_array_equal(load_image(saved(tmp_path / "a.png", RGB)), RGB)


def test_grey_is_repeated(tmp_path):
    """Greyscale becomes three equal channels."""
    image = load_image(saved(tmp_path / "a.png", GREY))
    np.testing.assert_array_equal(image, np.repeat(GREY[..., None], 3, axis=2))


def test_alpha_is_dropped(tmp_path):
    """The stored colours of an RGBA file survive, even where it is transparent."""
    rgba = np.dstack([RGB, np.zeros_like(GREY)])
    np.testing.assert_array_equal(load_image(saved(tmp_path / "a.png", rgba)), RGB)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_by_their_full_range(tmp_path, suffix):
    """16-bit v becomes v·255/65535: dark images stay dark, whatever their extremes."""
    deep = np.array([[0, 256, 1000], [32768, 40000, 65535]], np.uint16)
    expected = np.round(deep * (255 / 65535))
    image = load_image(saved(tmp_path / f"a.{suffix}", deep))
    np.testing.assert_array_equal(image[..., 1], expected)


def test_cmyk_is_converted(tmp_path):
    """A CMYK JPEG of pure cyan ink becomes RGB cyan."""
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert np.abs(load_image(tmp_path / "a.jpg").astype(int) - [0, 255, 255]).max() <= 3


def test_palette_shows_its_colours(tmp_path):
    """A palette image gives colours, not palette indices."""
    picture = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    picture.save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), [[[10, 20, 30], [200, 100, 50]]])


def test_orientation_is_applied_to_image_and_mask(tmp_path):
    """EXIF orientation 6 turns image and mask alike, by a quarter clockwise."""
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path / "a.png", GREY, exif=exif)
    np.testing.assert_array_equal(load_image(path)[..., 0], np.rot90(GREY, -1))
    np.testing.assert_array_equal(load_mask(path), np.rot90(GREY, -1) > 127)


def test_mask_threshold(tmp_path):
    """127 is background and 128 foreground, also in a mask stored as RGB."""
    grey = np.array([[0, 127], [128, 255]], np.uint8)
    rgb = np.repeat(grey[..., None], 3, axis=2)
    for pixels in (grey, rgb):
        mask = load_mask(saved(tmp_path / "m.png", pixels))
        np.testing.assert_array_equal(mask, [[False, False], [True, True]])


def broken(tmp_path, how):
    path = tmp_path / "b.jpg"
    content = saved(path, np.tile(RGB, (20, 20, 1))).read_bytes()
    if how == "missing":
        path.unlink()
    elif how == "float":
        path = saved(tmp_path / "b.tif", GREY.astype(np.float32))
    elif how == "bomb":
        # A PNG header that announces 60,000 × 60,000 pixels.
        path = saved(tmp_path / "b.png", RGB)
        content = bytearray(path.read_bytes())
        content[16:24] = (60_000).to_bytes(4, "big") * 2
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
        path.write_bytes(content)
    else:
        cut = {"empty": 0, "header only": 20, "half": len(content) // 2, "tail": len(content) - 40}
        path.write_bytes(b"not an image" if how == "text" else content[: cut[how]])
    return path


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "no such file"),
        ("empty", r"is empty \(0 bytes\)"),
        ("text", "not a readable image"),
        ("header only", "cannot be read|not a readable image"),
        ("half", "truncated"),
        ("tail", "truncated"),
        ("float", "32-bit"),
        ("bomb", "decompression bomb"),
    ],
)
@pytest.mark.parametrize("load", [load_image, load_mask])
def test_broken_files_get_one_sentence(tmp_path, how, reason, load):
    """The sentence begins with the file, names the problem, and is a single line."""
    path = broken(tmp_path, how)
    with pytest.raises(InputError, match=reason) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and text.endswith(".")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_escape(tmp_path_factory, data):
    """Whatever bytes of a JPEG are overwritten, loading gives an image or an InputError."""
    path = tmp_path_factory.getbasetemp() / "fuzz.jpg"
    content = bytearray(saved(path, np.tile(RGB, (4, 4, 1))).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert load_image(path).dtype == np.uint8


def test_pair_of_two_sizes_is_refused(tmp_path):
    """A mask of another size than its image is refused with both sizes."""
    record = Record(
        "a",
        saved(tmp_path / "a.png", RGB),
        saved(tmp_path / "m.png", np.zeros((8, 6), np.uint8)),
        "x",
        "a",
    )
    with pytest.raises(InputError, match=r"m\.png: is 6×8 pixels but its image 8×6"):
        load_pair(record, 4)


def test_pair_has_the_shapes_of_the_contract(tmp_path):
    """Image and mask come at the analysis size, the mask as 0/1, with the original shape."""
    mask = np.zeros((6, 8), np.uint8)
    mask[:, 4:] = 255
    record = Record("a", saved(tmp_path / "a.png", RGB), saved(tmp_path / "m.png", mask), "x", "a")
    image, masks, shape, _ = load_pair(record, 4)
    small = masks[0]
    assert image.shape == (4, 4, 3) and image.dtype == small.dtype == np.uint8
    np.testing.assert_array_equal(small, [[0, 0, 1, 1]] * 4)
    assert shape == (6, 8)


def test_a_mask_that_is_too_small_is_refused(tmp_path):
    """A lesion or finding that vanishes at the analysis size is named."""
    mask = np.zeros((6, 8), np.uint8)
    image, path = saved(tmp_path / "a.png", RGB), saved(tmp_path / "m.png", mask)
    assert not load_pair(Record("a", image, path, "x", "a"), 2).masks[0].any()
    mask[2, 3:5] = 255
    saved(path, mask)
    box = Finding("x", ((1, 1), (2, 1), (2, 2)))
    lesion, finding = Record("a", image, path, "x", "a"), Record("a", image, path, "x", "a", (box,))
    for record, name in ((lesion, "m.png"), (finding, "a.png")):
        assert load_pair(record, 8, ["x"]).masks[0].any()
        with pytest.raises(InputError, match=f"{name}: its mask .* empty at `analysis_size: 2`"):
            load_pair(record, 2, ["x"])


class Scan(Record):
    """An image of two channels that no picture file holds."""

    def load(self, channels):
        image = np.zeros((6, 8, 2), np.float32)
        image[..., 1] = np.nan if self.label == "damaged" else 7
        return image


def test_readers_may_load_their_own_images(tmp_path):
    """A record with two channels is resized, unless other channels are declared or it holds NaN."""
    scan = Scan("a", tmp_path / "a.nii", None, "x", "a")
    image = load_pair(scan, 4, channels=["flair", "t1"]).image
    assert image.shape == (4, 4, 2) and image.dtype == np.float32 and (image[..., 1] == 7).all()
    with pytest.raises(InputError, match=r"a\.nii: has 2 channels but `channels` .* names flair;"):
        load_pair(scan, 4, channels=["flair"])
    with pytest.raises(InputError, match=r"a\.nii: holds NaN"):
        load_pair(Scan("a", tmp_path / "a.nii", None, "damaged", "a"), 4, channels=["flair", "t1"])


def test_an_unknown_outline_is_not_an_empty_mask(tmp_path):
    """A label without an outline gives None, no mask files an empty mask, and one of two None."""
    path, box = saved(tmp_path / "a.png", RGB), ((0, 0), (3, 0), (3, 5))
    unknown = load_pair(Record("a", path, None, "x", "a"), 4)
    assert unknown.masks == {0: None} and unknown.mask_pixels is None
    empty = load_pair(Record("a", path, (), "x", "a"), 4)
    assert not empty.masks[0].any() and empty.mask_pixels == 0
    findings = (Finding("x", box), Finding("y", box), Finding("y", None))
    several = load_pair(Record("a", path, path, "x + y", "a", findings), 4, ["x", "y", "z"])
    assert several.masks[0].any() and several.masks[1] is None and 2 not in several.masks
    assert several.mask_pixels is None
    healthy = load_pair(Record("a", path, path, "no finding", "a", ()), 4, ["x", "y", "z"])
    assert healthy.masks == {} and healthy.mask_pixels == 0


def test_shrinking_is_antialiased():
    """A fine checkerboard shrinks to its mean grey, not to a sample of it."""
    board = np.indices((64, 64)).sum(axis=0) % 2 * np.uint8(255)
    small = resize_image(np.repeat(board[..., None].astype(np.uint8), 3, axis=2), 8)
    assert np.abs(small[1:-1, 1:-1].astype(int) - 127).max() <= 2


@given(arrays(np.uint8, (7, 9, 3)), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_resizing_never_overshoots(image, size):
    """Resized values stay within the extremes of each channel."""
    resized = resize_image(image, size)
    assert (resized.min(axis=(0, 1)) >= image.min(axis=(0, 1))).all()
    assert (resized.max(axis=(0, 1)) <= image.max(axis=(0, 1))).all()


@given(arrays(np.uint8, (9, 7, 3)), st.integers(1, 20))
@settings(max_examples=30, deadline=None)
def test_colours_are_resized_as_one_picture(image, size):
    """Channel by channel, an 8-bit image is resized to the pixels that Pillow gives for RGB."""
    whole = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize_image(image, size), np.asarray(whole))


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_images_of_any_channels_and_depth_are_resized(channels, dtype):
    """Type and channels stay, a flat image stays as it is, and a halved one has its means."""
    # Even values, because 8-bit rows and columns are rounded one after the other.
    ramp = 2 * np.add.outer(np.arange(16), np.arange(16))[..., None] * np.arange(1, channels + 1)
    small = resize_image(ramp.astype(dtype), 8)
    assert small.shape == (8, 8, channels) and small.dtype == dtype
    means = ramp.reshape(8, 2, 8, 2, channels).mean(axis=(1, 3))
    np.testing.assert_allclose(small[1:-1, 1:-1], means[1:-1, 1:-1], atol=1e-4)
    top = np.full((5, 7, channels), np.iinfo(dtype).max if dtype != np.float32 else 1.5, dtype)
    assert (resize_image(top, 9) == top[0, 0, 0]).all()


@given(arrays(bool, (12, 12)))
@settings(max_examples=50, deadline=None)
def test_mask_keeps_the_majority(mask):
    """Shrunk by a whole factor, a pixel is foreground if most of its block is."""
    blocks = mask.reshape(4, 3, 4, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(resize_mask(mask, 4), blocks > 0.5)


def test_statistics_are_those_of_the_chosen_rows():
    """Mean and deviation equal NumPy's over the training images alone, in units of 255."""
    images = np.random.default_rng(1).integers(0, 256, (5, 7, 7, 3), dtype=np.uint8)
    rows = np.array([0, 2, 3])
    mean, std = measure_channels(images, rows)
    pixels = images[rows].reshape(-1, 3) / 255
    np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-12)


def test_statistics_of_deep_images_are_exact():
    """16-bit values are counted in units of 65535, fractions are taken as they are."""
    deep = np.random.default_rng(2).integers(0, 65536, (4, 5, 5, 2), dtype=np.uint16)
    fractions = deep.astype(np.float32) - 30_000
    rows = np.array([3, 1])
    for images, unit in ((deep, 65535), (fractions, 1)):
        mean, std = measure_channels(images, rows)
        pixels = images[rows].reshape(-1, 2).astype(float) / unit
        np.testing.assert_allclose(mean, pixels.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(std, pixels.std(axis=0), rtol=1e-12)


def test_constant_channel_is_refused():
    """A channel without variation cannot be normalised."""
    with pytest.raises(InputError, match="constant"):
        measure_channels(np.full((2, 4, 4, 3), 9, np.uint8), np.arange(2))


@pytest.mark.parametrize("n", [0, 1, 1234])
def test_rows_are_a_plain_npy_file(tmp_path, n):
    """Rows written one by one read back, memory-mapped, as the array that they form."""
    rows = np.random.default_rng(n).integers(0, 256, (n, 2, 3), dtype=np.uint8)
    with npy_rows(tmp_path / "a.npy", (2, 3)) as append:
        for row in rows:
            append(row)
    loaded = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    np.testing.assert_array_equal(loaded, rows)
    expected = tmp_path / "b.npy"
    np.save(expected, rows)
    assert (tmp_path / "a.npy").read_bytes() == expected.read_bytes()


def test_rows_of_another_shape_are_refused(tmp_path):
    """A row that does not fit is an error, not a shifted array."""
    with (
        npy_rows(tmp_path / "a.npy", (2, 3)) as append,
        pytest.raises(ValueError, match="not uint8"),
    ):
        append(np.zeros((3, 2), np.uint8))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_rows_may_decide_on_their_type(tmp_path, dtype):
    """Without a given type, the array has that of the first row."""
    rows = np.arange(6, dtype=dtype).reshape(3, 2)
    with npy_rows(tmp_path / "a.npy", (2,), None) as append:
        for row in rows:
            append(row)
        with pytest.raises(ValueError, match="row is int64"):
            append(np.ones(2, int))
    loaded = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert loaded.dtype == dtype and (loaded == rows).all()


def test_an_empty_jpeg_mask_is_black_alone(tmp_path):
    """Black is empty whatever a coarse JPEG makes of it; values of 1 are read from a PNG only."""
    pixels = np.zeros((24, 24), np.uint8)
    for quality in (8, 30, 46, 70, 75, 95):
        Image.fromarray(pixels).save(tmp_path / "a.jpg", quality=quality)
        assert not load_mask(tmp_path / "a.jpg").any()
    pixels[:8] = 1
    Image.fromarray(pixels).save(tmp_path / "b.jpg", "PNG")
    assert load_mask(tmp_path / "b.jpg").sum() == 8 * 24
    Image.fromarray(pixels).save(tmp_path / "b.jpg", quality=95)
    assert load_image(tmp_path / "b.jpg").max() == 1
    with pytest.raises(InputError, match=r"b\.jpg: .*brightest value is 1"):
        load_mask(tmp_path / "b.jpg")
