"""Pictures and masks of any mode, depth, palette, alpha, orientation, interlace, format and name.

Each is made from its pixels without a decoder; what is read is these pixels, or one sentence.
"""

import io
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from segxai.images.load import find_mask, load_image, load_instances, load_mask
from segxai.job.log import InputError
from tests.hostile.refusal import refused
from tests.unit.dicoms import write_dicom
from tests.unit.pngs import (
    DEPTHS,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGBA,
    SAMPLES,
    TURNS,
    encode_png,
)

SUFFIXES = st.sampled_from([".png", ".jpg", ".JPEG", ".tif", ".bmp", ".dcm", ""])
REMEDY = "save its foreground as white and the rest as black, without loss"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictures")


def written(folder, content: bytes, suffix=".png"):
    path = folder / f"a{suffix}"
    path.write_bytes(content)
    return path


def encoded(pixels, kind="PNG", **options) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@st.composite
def pngs(draw):
    """Draw a PNG, and the 8-bit colours that it shows, unrounded."""
    colour = draw(st.sampled_from([GREY, RGB, PALETTE, GREY_ALPHA, RGBA]))
    depth = draw(st.sampled_from(DEPTHS[colour]))
    height, width, seed = draw(st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(0)))
    rng = np.random.default_rng(seed)
    samples = rng.integers(0, 2**depth, (height, width, SAMPLES[colour]))
    samples[0, 0] = 2**depth - 1  # all bits are in use
    palette = clear = None
    shown = samples * (255 / (2**depth - 1))
    if colour == PALETTE:
        palette = rng.integers(0, 256, (2**depth, 3))
        clear = rng.bytes(2**depth) if draw(st.booleans()) else None
        shown = palette[samples[..., 0]]
    elif colour in (GREY, RGB) and draw(st.booleans()):
        clear = samples[0, 0].astype(">u2").tobytes()
    orientation, interlaced = draw(st.sampled_from(list(TURNS))), draw(st.booleans())
    shown = shown[..., :3] if shown.shape[2] > 2 else shown[..., :1].repeat(3, axis=2)
    content = encode_png(samples, depth, colour, palette, clear, interlaced, orientation)
    # Of colours of 16 bits the upper 8 are read.
    tolerance = 1 if depth == 16 and colour != GREY else 0
    return content, TURNS[orientation](shown), tolerance


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@settings(max_examples=150, deadline=None)
@given(pngs(), SUFFIXES)
def test_every_png_shows_its_pixels(folder, png, suffix):
    """Whatever its colour type, depth, transparency, interlace and name: the stored colours."""
    content, shown, tolerance = png
    image = load_image(written(folder, content, suffix))
    assert np.abs(image - np.round(shown)).max() <= tolerance


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I;16B", "I", "F"]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(MODES), st.sampled_from(["TIFF", "BMP"]), st.integers(0), SUFFIXES,
    st.sampled_from(list(TURNS)),
)  # fmt: skip
def test_every_tiff_and_bitmap_shows_its_pixels(folder, mode, kind, seed, suffix, orientation):
    """Black ink, greys, colours and 16 bits come back; 32 bits are refused."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2)
    grey = rng.integers(0, 256, (height, width)).astype(np.uint8)
    grey[0, 0] = 255
    shown, picture = grey, Image.fromarray(grey)
    if mode == "1":
        shown = np.where(grey > 127, np.uint8(255), np.uint8(0))
        picture = Image.fromarray(shown).convert("1")
    elif mode.startswith("I;16"):
        order = ">u2" if mode == "I;16B" else "<u2"
        picture = Image.fromarray((grey.astype(np.uint16) * 257).astype(order))
    elif mode in ("I", "F"):
        picture = Image.fromarray(grey.astype({"I": np.int32, "F": np.float32}[mode]))
    elif mode == "CMYK":  # greys of coloured inks
        inks = [Image.fromarray(255 - grey)] * 3 + [Image.fromarray(0 * grey)]
        picture = Image.merge("CMYK", inks)
    elif mode in ("LA", "P"):
        picture = picture.convert(mode)
    elif mode != "L":
        shown = rng.integers(0, 256, (height, width, len(mode))).astype(np.uint8)
        picture, shown = Image.fromarray(shown), shown[..., :3]
    exif = Image.Exif()
    exif[274] = orientation
    try:
        content = encoded(picture, kind, **({"exif": exif} if kind == "TIFF" else {}))
    except OSError:  # a bitmap has few modes
        return
    path = written(folder, content, suffix)
    if mode in ("I", "F"):
        refused(partial(load_image, path), "32-bit pixels", "replace it")
        return
    shown = shown if shown.ndim == 3 else shown[..., None].repeat(3, axis=2)
    expected = TURNS[orientation](shown) if kind == "TIFF" else shown
    np.testing.assert_array_equal(load_image(path), expected)


def test_a_deep_tiff_may_have_white_at_zero(folder):
    """In a 16-bit TIFF that declares 0 as white, 0 is white."""
    deep = np.array([[0, 257, 65535]], np.uint16)
    path = written(folder, encoded(deep, "TIFF", tiffinfo={262: 0}))
    assert load_image(path)[0, :, 0].tolist() == [255, 254, 0]


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 16), st.integers(0), st.sampled_from(["PNG", "TIFF"]))
def test_bits_of_the_data_set_are_the_range(folder, bits, seed, kind):
    """With `bits` v becomes v·255/(2^bits − 1), in dark and in bright images alike."""
    for brightest in (2**bits, 2 ** (bits - 3)):
        deep = np.random.default_rng(seed).integers(0, brightest, (9, 7)).astype(np.uint16)
        image = load_image(written(folder, encoded(deep, kind)), bits)
        np.testing.assert_array_equal(image[..., 2], np.round(deep * (255 / (2**bits - 1))))


def test_twelve_bits_are_never_seventeen_greys(folder):
    """Unused upper bits are refused without `bits`, and values beyond `bits` with it."""
    ramp = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    path = written(folder, encoded(ramp))
    refused(partial(load_image, path), "value is 4095 of 65535", "`bits` of .* 12")
    assert np.unique(load_image(path, 12)).size == 256
    assert load_image(path, 16).max() == 16
    refused(partial(load_image, path, 10), "value is 4095", "raise `bits`")
    colours = encode_png(ramp[..., None].repeat(3, axis=2), 16, RGB)
    refused(partial(load_image, written(folder, colours)), "colours of 16 bits", "8 bits a colour")


def shape(seed: int, side: int = 48):
    """A mask (H, W) of some rectangles and ellipses, or of nothing."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:side, : side + 3]
    mask = np.zeros((side, side + 3), bool)
    for _ in range(rng.integers(0, 4)):
        (top, left), (height, width) = rng.integers(0, side, 2), rng.integers(2, side // 2, 2)
        box = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
        oval = ((y - top) / height) ** 2 + ((x - left) / width) ** 2 < 1
        mask |= box if rng.integers(2) else oval
    return mask


@st.composite
def mask_files(draw):
    """Draw a mask and a file without loss that holds it in two values."""
    mask = shape(draw(st.integers(0, 999)))
    colour = draw(st.sampled_from([GREY, RGB, PALETTE, GREY_ALPHA, RGBA]))
    depth = draw(st.sampled_from([bits for bits in DEPTHS[colour] if bits < 16 or colour == GREY]))
    top = 2**depth - 1
    white = draw(st.sampled_from(sorted({1, top} | {255} if depth == 16 else {top})))
    samples = mask[..., None].astype(int).repeat(SAMPLES[colour], axis=2) * white
    palette = clear = None
    if colour == PALETTE:
        samples, palette = mask[..., None].astype(int), np.zeros((2**depth, 3), int)
        palette[1] = draw(st.sampled_from([1, 255]))
    elif colour in (GREY_ALPHA, RGBA):  # opaque, or clear where it is black
        samples[..., -1] = (
            draw(st.sampled_from([top, 0])) if draw(st.booleans()) else samples[..., 0]
        )
    orientation, interlaced = draw(st.sampled_from(list(TURNS))), draw(st.booleans())
    content = encode_png(samples, depth, colour, palette, clear, interlaced, orientation)
    return TURNS[orientation](mask), content


@settings(max_examples=150, deadline=None)
@given(mask_files(), SUFFIXES)
def test_every_mask_of_two_values_is_read(folder, drawn, suffix):
    """In 1 to 16 bits, as numbers, colours or palette, opaque or not: the mask that was drawn."""
    mask, content = drawn
    np.testing.assert_array_equal(load_mask(written(folder, content, suffix)), mask)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 999), st.integers(30, 100), st.booleans(), SUFFIXES)
def test_noise_of_jpeg_is_not_a_third_value(folder, seed, quality, coloured, suffix):
    """A JPEG of a mask is the mask, except for pixels of its outline; an empty mask stays empty."""
    mask = shape(seed, 96)
    pixels = mask.astype(np.uint8) * 255
    pixels = pixels[..., None].repeat(3, axis=2) if coloured else pixels
    path = written(folder, encoded(pixels, "JPEG", quality=quality), suffix)
    assert (load_mask(path) != mask).sum() <= 0.005 * mask.size
    if not mask.any():
        assert not load_mask(path).any()


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 999),
    st.sampled_from(["half", "double", "blur", "jpeg"]),
    st.sampled_from([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC]),
)
def test_soft_outlines_are_not_a_third_value(folder, seed, how, filter_):
    """Resized, blurred, or saved as JPEG before it became a PNG: above 127 is foreground.

    A thin shape may lose so much that it is refused; it is never read as another.
    """
    picture = Image.fromarray(shape(seed, 96).astype(np.uint8) * 255)
    if how == "jpeg":
        picture = Image.open(io.BytesIO(encoded(picture, "JPEG", quality=80)))
    elif how == "blur":
        picture = picture.filter(ImageFilter.GaussianBlur(1))
    else:
        factor = {"half": 0.5, "double": 2}[how]
        picture = picture.resize([round(factor * side) for side in picture.size], filter_)
    expected = np.asarray(picture) > 127
    if np.asarray(picture).max() in range(1, 128):  # all that is left is grey
        return
    try:
        mask = load_mask(written(folder, encoded(picture)))
    except InputError:
        return
    np.testing.assert_array_equal(mask, expected)


@pytest.mark.parametrize("side", [48, 192])
def test_nearly_all_soft_outlines_are_read(folder, side):
    """Of a hundred resized shapes at most five are refused."""
    refused = 0
    for seed in range(100):
        picture = Image.fromarray(shape(seed, 96).astype(np.uint8) * 255)
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
        try:
            load_mask(written(folder, encoded(picture)))
        except InputError:
            refused += 1
    assert refused <= 5


DISC = np.add.outer((np.arange(48) - 24) ** 2, (np.arange(64) - 30) ** 2) < 100
LOWER = DISC & (np.arange(48) >= 24)[:, None]
INNER = np.add.outer((np.arange(48) - 24) ** 2, (np.arange(64) - 30) ** 2) < 64


def painted(*layers) -> np.ndarray:
    """Values (H, W) of regions painted one after the other on black."""
    values = np.zeros(DISC.shape, int)
    for region, value in layers:
        values[region] = value
    return values


THIRD = {
    "void around a class": painted((DISC, 255), (INNER, 1)),
    "a class and one above": painted((DISC, 100), (LOWER, 200)),
    "two classes below": painted((DISC, 100), (LOWER, 255)),
    "two classes above": painted((DISC, 200), (LOWER, 255)),
    "a class in the middle": painted((DISC, 128), (LOWER, 255)),
    "four classes": painted((DISC, 85), (LOWER, 170), (INNER & LOWER, 255)),
    "class 2": painted((DISC, 2)),
    "classes 1 and 2": painted((DISC, 1), (LOWER, 2)),
    "classes 1 and 2, void": painted((DISC, 1), (LOWER, 2), (DISC & ~INNER, 255)),
    "grey": painted((DISC, 127)),
    "nothing black": painted((DISC, 255)) // 2 + 20,
    "numbered objects": np.cumsum(DISC.ravel()).reshape(DISC.shape) * DISC % 256,
}


@pytest.mark.parametrize("case", THIRD)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("colour", [GREY, RGB, PALETTE])
def test_a_third_value_is_one_sentence(folder, case, suffix, colour):
    """Void, classes, greys and numbers are refused by name, as grey, as colours and as palette."""
    samples = THIRD[case][..., None].repeat(SAMPLES[colour], axis=2)
    palette = np.arange(256)[:, None].repeat(3, axis=1) if colour == PALETTE else None
    path = written(folder, encode_png(samples, 8, colour, palette), suffix)
    refused(partial(load_mask, path), f"^{path}: is not a mask of two values", REMEDY)
    assert find_mask(path) is None


@pytest.mark.parametrize("quality", [75, 90, 95, 100])
@pytest.mark.parametrize(
    "case",
    ["a class and one above", "two classes below", "a class in the middle", "four classes",
     "class 2", "classes 1 and 2", "grey"],
)  # fmt: skip
def test_a_third_value_of_a_real_jpeg_is_one_sentence(folder, case, quality):
    """Noise of JPEG hides no class; nor is a mask empty because of a threshold alone."""
    pixels = THIRD[case].astype(np.uint8)
    path = written(folder, encoded(pixels, "JPEG", quality=quality), ".jpg")
    refused(partial(load_mask, path), f"^{path}: is not a mask of two values", REMEDY)


DEEP = {
    "classes": painted((DISC, 1), (LOWER, 2)),
    "void": painted((DISC, 65535), (INNER, 1)),
    "objects": np.cumsum(DISC.ravel()).reshape(DISC.shape) * DISC,
    "class 300": painted((DISC, 300)),
    "twelve bits": painted((DISC, 4095)),
    "one level below white": painted((DISC, 65535), (LOWER, 40000)),
}


@pytest.mark.parametrize("case", DEEP)
def test_deep_label_maps_are_numbers_or_one_sentence(folder, case):
    """A mask of 16 bits loses no value by scaling; a reader of numbers gets them."""
    path = written(folder, encode_png(DEEP[case][..., None], 16, GREY))
    refused(partial(load_mask, path), f"^{path}: is not a mask of two values", REMEDY)
    np.testing.assert_array_equal(load_instances(path), DEEP[case])


BLACK, OPAQUE = np.zeros(DISC.shape, int), np.full(DISC.shape, 255)
WHITE = painted((DISC, 255))
COLOURED = {
    "red and green": (np.dstack([DISC & ~LOWER, LOWER, BLACK]) * 255, RGB, None),
    "red": (np.dstack([DISC, BLACK, BLACK]) * 255, RGB, None),
    "darkest red": (np.dstack([DISC, BLACK, BLACK]), RGB, None),
    "white palette, clear background": (DISC[..., None], PALETTE, b"\x00\xff"),
    "black shape, clear background": (np.dstack([BLACK, WHITE]), GREY_ALPHA, None),
    "white, clear outside": (np.dstack([OPAQUE, OPAQUE, OPAQUE, WHITE]), RGBA, None),
    "white, half of it clear": (np.dstack([WHITE, painted((LOWER, 255))]), GREY_ALPHA, None),
    "clear white": (WHITE[..., None], GREY, b"\x00\xff"),
}


@pytest.mark.parametrize("case", COLOURED)
def test_colours_and_transparency_are_not_a_mask(folder, case):
    """Colours, and a transparency that shows another shape than the greys, are refused."""
    samples, colour, clear = COLOURED[case]
    palette = np.full((2, 3), 255) if colour == PALETTE else None
    content = encode_png(samples.astype(int), 8, colour, palette, clear)
    path = written(folder, content)
    refused(partial(load_mask, path), "colours|its shape is in its transparency", REMEDY)


def test_colours_of_a_real_jpeg_are_not_a_mask(folder):
    """Red and green halves are refused in a JPEG, too."""
    colours = np.dstack([DISC & ~LOWER, LOWER, BLACK]).astype(np.uint8) * 255
    path = written(folder, encoded(colours, "JPEG", quality=95))
    refused(partial(load_mask, path), "it has colours", REMEDY)


def test_numbers_of_objects_are_kept_without_loss(folder):
    """A JPEG and a radiograph hold no numbers of objects."""
    numbers = painted((DISC, 40), (LOWER, 80)).astype(np.uint8)
    for path in (
        written(folder, encoded(numbers, "JPEG"), ".png"),
        write_dicom(folder / "ids.png", numbers),
    ):
        refused(partial(load_instances, path), f"^{path}: holds no instance ids", "original")


def test_masks_of_radiographs_lose_no_value(folder):
    """A DICOM of 0 and 1 is a mask in 8 and in 16 bits, under any name; void is refused."""
    for dtype in (np.uint8, np.uint16):
        for white in (1, 255, np.iinfo(dtype).max):
            path = write_dicom(folder / "m.png", DISC.astype(dtype) * dtype(white))
            np.testing.assert_array_equal(load_mask(path), DISC)
        void = np.where(DISC & ~INNER, np.iinfo(dtype).max, INNER).astype(dtype)
        path = write_dicom(folder / "m", void)
        with pytest.raises(InputError, match="not a mask of two values"):
            load_mask(path)
