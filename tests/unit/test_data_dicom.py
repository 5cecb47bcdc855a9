"""DICOM radiographs come out as their viewer shows them; hostile files get one sentence."""

import contextlib
import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    generate_uid,
)

from segxai.images.dicom import series_uid
from segxai.images.load import load_image, load_mask
from segxai.job.log import InputError
from tests.unit.dicoms import write_dicom

DEEP = np.array([[0, 256, 1000], [32768, 40000, 65535]], np.uint16)


def grey(path):
    image = load_image(path)
    assert image.dtype == np.uint8 and (image == image[..., :1]).all()
    return image[..., 0].tolist()


def test_sixteen_bits_span_their_full_range(tmp_path):
    """16-bit v becomes v·255/65535, as in a 16-bit PNG, whatever the image's own extremes."""
    expected = np.round(DEEP * (255 / 65535))
    assert grey(write_dicom(tmp_path / "a.dcm", DEEP)) == expected.tolist()
    dark = DEEP[:1]
    assert grey(write_dicom(tmp_path / "b.dcm", dark)) == expected[:1].tolist()


def test_stored_bits_set_the_range(tmp_path):
    """12 of 16 bits: 4095 is white; 8 bits: values are kept."""
    deep = np.array([[0, 2048, 4095]], np.uint16)
    assert grey(write_dicom(tmp_path / "a.dcm", deep, BitsStored=12)) == [[0, 128, 255]]
    shallow = np.array([[0, 7, 255]], np.uint8)
    assert grey(write_dicom(tmp_path / "b.dcm", shallow)) == [[0, 7, 255]]


def test_signed_values_are_shifted(tmp_path):
    """The lowest signed value is black, zero mid-grey."""
    signed = np.array([[-32768, 0, 32767]], np.int16)
    assert grey(write_dicom(tmp_path / "a.dcm", signed)) == [[0, 128, 255]]


def test_monochrome1_is_inverted(tmp_path):
    """Where low values are bright, 0 becomes 255; the same with a window."""
    values = np.array([[0, 100, 255]], np.uint8)
    path = tmp_path / "a.dcm"
    inverted = {"PhotometricInterpretation": "MONOCHROME1"}
    assert grey(write_dicom(path, values, **inverted)) == [[255, 155, 0]]
    window = {"WindowCenter": 100.5, "WindowWidth": 101}
    assert grey(write_dicom(path, values, **inverted, **window)) == [[255, 127, 0]]


def test_window_is_the_standards(tmp_path):
    """PS3.3 C.11.2.1.2: centre 100.5, width 101 spread 50…150 over black to white."""
    values = np.array([[0, 50, 75, 100, 150, 255]], np.uint8)
    window = {"WindowCenter": 100.5, "WindowWidth": 101}
    expected = np.clip((values.astype(float) - 50) / 100, 0, 1) * 255
    shown = grey(write_dicom(tmp_path / "a.dcm", values, **window))
    assert shown == np.round(expected).tolist()


def test_the_first_of_several_windows_counts(tmp_path):
    """A file that offers several windows is shown in its first; an empty one is none."""
    values = np.array([[0, 50, 100, 150, 255]], np.uint8)
    several = {"WindowCenter": [100.5, 30], "WindowWidth": [101, 20]}
    assert grey(write_dicom(tmp_path / "a.dcm", values, **several)) == [[0, 0, 128, 255, 255]]
    empty = {"WindowCenter": None, "WindowWidth": None}
    assert grey(write_dicom(tmp_path / "b.dcm", values, **empty)) == values.tolist()


def test_rescaling_comes_before_the_window(tmp_path):
    """A window is in rescaled units: slope 2 and intercept −100 move it."""
    values = np.array([[0, 75, 100, 125, 255]], np.uint8)
    tags = {"RescaleSlope": 2, "RescaleIntercept": -100, "WindowCenter": 100.5, "WindowWidth": 101}
    assert grey(write_dicom(tmp_path / "a.dcm", values, **tags)) == [[0, 0, 128, 255, 255]]


def table(entries, first, bits, **tags):
    """A look-up table, as a sequence of one item."""
    item = Dataset()
    item.LUTDescriptor = [len(entries) % 65536, first, bits]
    item.LUTData = entries if isinstance(entries, bytes) else np.asarray(entries, "<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = tags.get("VR", "US"), "OW"
    return [item]


RAMP = np.linspace(0, 4095, 64).astype(np.uint16)[None]
SIGNED = (RAMP.astype(np.int16) - 2048).astype(np.int16)
SHARE = RAMP / 4095
STEPS = np.arange(4096)
BELL = np.minimum(STEPS, 4095 - STEPS)  # rises and falls
TWELVE = {"BitsStored": 12}
RISING = {"RescaleSlope": 2, "RescaleIntercept": -1000}
FALLING = {"RescaleSlope": -2, "RescaleIntercept": 4000}
ONE = {"PhotometricInterpretation": "MONOCHROME1"}


def window(centre, width, **more):
    return {"WindowCenter": centre, "WindowWidth": width} | more


def linear(values, low, high):
    return np.clip((values - low) / (high - low), 0, 1)


# Pixels, tags, and brightness by the formulas of PS3.3 C.11.1 and C.11.2: low is dark.
SHOWN = {
    "as stored": (RAMP, {}, SHARE),
    "rising": (RAMP, RISING, SHARE),
    "falling": (RAMP, FALLING, 1 - SHARE),
    "falling, low is bright": (RAMP, FALLING | ONE, SHARE),
    "falling, signed": (SIGNED, FALLING, 1 - SHARE),
    "falling, no intercept": (RAMP, {"RescaleSlope": -1}, 1 - SHARE),
    "fractions": (RAMP, {"RescaleSlope": "0.001", "RescaleIntercept": "-7.5"}, SHARE),
    "rising, window": (RAMP, RISING | window(1000.5, 2001), linear(2.0 * RAMP - 1000, 0, 2000)),
    "falling, window": (RAMP, FALLING | window(0.5, 2001), linear(4000 - 2.0 * RAMP, -1000, 1000)),
    "falling, window, low is bright": (
        RAMP, FALLING | ONE | window(0.5, 2001), 1 - linear(4000 - 2.0 * RAMP, -1000, 1000)
    ),
    "window beyond the range": (RAMP, window(4096.5, 8193), RAMP / 8192),
    "exact window": (
        RAMP, window(2000, 1000, VOILUTFunction="LINEAR_EXACT"), linear(1.0 * RAMP, 1500, 2500)
    ),
    "sigmoid": (
        RAMP, FALLING | window(0, 2000, VOILUTFunction="SIGMOID"),
        1 / (1 + np.exp(-4 * (4000 - 2.0 * RAMP) / 2000)),
    ),
    "signed": (SIGNED, {}, SHARE),
    "signed, window": (SIGNED, window(0.5, 1001), linear(1.0 * SIGNED, -500, 500)),
    "left-aligned": (RAMP << 4, {"HighBit": 15}, SHARE),
    "left-aligned, falling": (RAMP << 4, FALLING | {"HighBit": 15}, 1 - SHARE),
    "left-aligned, window": (
        RAMP << 4, window(2000.5, 1001) | {"HighBit": 15}, linear(1.0 * RAMP, 1500, 2500)
    ),
    "in the middle of the word": (RAMP << 2, {"HighBit": 13}, SHARE),
    "left-aligned, signed": (SIGNED << 4, {"HighBit": 15}, SHARE),
    "overlays above the bits": (RAMP | 0x5000, {}, SHARE),
    "modality table": (RAMP, {"ModalityLUTSequence": table(4095 - STEPS, 0, 16)}, 1 - SHARE),
    "modality table of 12 bits": (
        RAMP, {"ModalityLUTSequence": table(BELL, 0, 12)}, np.minimum(RAMP, 4095 - RAMP) / 2047
    ),
    "modality table, window": (
        RAMP, {"ModalityLUTSequence": table(10 * STEPS, 0, 16)} | window(20000.5, 10001),
        linear(10.0 * RAMP, 15000, 25000),
    ),
    "table of interest": (RAMP, {"VOILUTSequence": table(BELL * 32, 0, 16)},
                          np.minimum(RAMP, 4095 - RAMP) * 32 / 65535),
    "table of interest of 8 bits": (
        RAMP, {"VOILUTSequence": table(STEPS // 16, 0, 8)}, RAMP // 16 / 255
    ),
    "table of bytes": (
        RAMP, {"VOILUTSequence": table((STEPS // 16).astype(np.uint8).tobytes(), 0, 8)},
        RAMP // 16 / 255,
    ),
    "table before window": (
        RAMP, {"VOILUTSequence": table(STEPS, 0, 12)} | window(100, 50), SHARE
    ),
    "table of part of the values": (
        RAMP, {"VOILUTSequence": table(np.arange(1024), 1000, 10)}, linear(1.0 * RAMP, 1000, 2023)
    ),
    "table of rescaled values": (
        RAMP, FALLING | {"VOILUTSequence": table(np.arange(1024), 1000, 10)},
        linear(4000 - 2.0 * RAMP, 1000, 2023),
    ),
    "table from a negative value": (
        RAMP, RISING | {"VOILUTSequence": table(np.arange(1024), 65536 - 500, 10)},
        linear(2.0 * RAMP - 1000, -500, 523),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SHOWN)
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_brightness_is_that_of_the_standard(tmp_path, case, syntax):
    """Rescaling, tables, windows, places of the bits and signs: low values are dark."""
    pixels, tags, expected = SHOWN[case]
    tags = TWELVE | tags | {"TransferSyntaxUID": syntax}
    shown = grey(write_dicom(tmp_path / "a.dcm", pixels, **copy.deepcopy(tags)))
    # What lies on a limit between two greys may fall to either.
    assert np.abs(np.array(shown) - 255 * expected).max() <= 0.51


def test_the_content_makes_a_radiograph(tmp_path):
    """A DICOM file is read under any name, and another picture that is called so as well."""
    for name in ("a.png", "IM0001"):
        assert grey(write_dicom(tmp_path / name, DEEP)) == [[0, 1, 4], [128, 156, 255]]
    Image.fromarray(np.array([[3, 7]], np.uint8)).save(tmp_path / "b.dcm", "PNG")
    assert grey(tmp_path / "b.dcm") == [[3, 7]]


def test_masks_are_read(tmp_path):
    """An 8-bit DICOM of 0 and 255 is a mask."""
    mask = np.array([[0, 255], [255, 0]], np.uint8)
    np.testing.assert_array_equal(load_mask(write_dicom(tmp_path / "m.DCM", mask)), mask > 0)


COMPRESSED = {"TransferSyntaxUID": JPEGLSLossless, "PixelData": encapsulate([b"\xff\xd8" * 9])}


@pytest.mark.parametrize(
    ("pixels", "tags", "reason"),
    [
        (None, {"Modality": "SR"}, r"has none \(modality SR\)"),
        (DEEP, {"Modality": "CT"}, "its modality is CT and not one of CR, DX, MG"),
        (np.stack([DEEP] * 3), {"NumberOfFrames": 3}, "it holds 3 frames"),
        (DEEP, {"PhotometricInterpretation": "RGB"}, "its pixels are RGB and not grey"),
        (DEEP, COMPRESSED, "decodes its compression, JPEG-LS Lossless"),
        (DEEP, {"RescaleSlope": "NaN", "RescaleIntercept": "0"}, "does not span a range"),
        (DEEP, {"RescaleSlope": 0, "RescaleIntercept": 3}, "does not span a range"),
        (DEEP, {"WindowCenter": 9, "WindowWidth": 0}, "Window Width must be greater"),
        (DEEP, {"WindowCenter": 9, "WindowWidth": "NaN"}, "does not span a range"),
        (DEEP, {"Rows": 5}, "pixel data"),
        (DEEP.astype(np.uint32), {}, "32-bit pixels have no known range"),
        (DEEP, {"BitsStored": 12, "HighBit": 7}, "HighBit 7 .*12"),
        (DEEP, {"VOILUTSequence": table([9] * 100, 0, 16)}, "does not span a range"),
        (DEEP, {"VOILUTSequence": table([1, 2], 0, 20)}, "entries of 20 bits"),
        (DEEP, {"WindowCenter": 1e6, "WindowWidth": 9}, "does not span a range"),
        (DEEP, {"SharedFunctionalGroupsSequence": [Dataset()]}, "functional groups"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
def test_other_files_than_radiographs_give_one_sentence(tmp_path, pixels, tags, reason):
    """No pixels, volumes, colours, unknown compressions and senseless values are each named."""
    path = write_dicom(tmp_path / "a.dcm", pixels, **tags)
    with pytest.raises(InputError, match=reason) as caught:
        load_image(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: cannot be read (") and "\n" not in text and text.endswith(".")


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (0, r"is empty \(0 bytes\)"),
        (100, "not a readable image"),
        (150, "cannot be read"),
        (-300, "it ends before its pixels or has none"),
        (-4, "cannot be read .*pixel data"),
    ],
)
def test_truncated_files_are_one_sentence(tmp_path, kept, reason):
    """Wherever a file ends too early, the sentence names it and what is the matter."""
    path = write_dicom(tmp_path / "a.dcm", np.zeros((10, 10), np.uint16))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match=reason) as caught:
        load_image(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ") and "\n" not in text and text.endswith(".")


@settings(max_examples=60)
@given(data=st.data())
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_bytes_never_escape(tmp_path_factory, data):
    """Whatever bytes are overwritten, loading gives an image or an InputError."""
    path = write_dicom(tmp_path_factory.getbasetemp() / "fuzz.dcm", DEEP)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert load_image(path).dtype == np.uint8


def test_series_is_in_the_header(tmp_path):
    """The series is read from the header alone, and its absence is reported."""
    uid = generate_uid()
    assert series_uid(write_dicom(tmp_path / "a.dcm", DEEP, SeriesInstanceUID=uid)) == uid
    with pytest.raises(ValueError, match="no SeriesInstanceUID"):
        series_uid(write_dicom(tmp_path / "b.dcm", DEEP))


@pytest.mark.real
def test_a_real_crop_agrees_with_its_published_jpeg(shared):
    """A 16-bit crop rises and falls with the 8-bit copy that others made of it."""
    folder = shared / "data/cbis-ddsm/fullres"
    for path in sorted(folder.glob("CBIS-DCM/TRAIN/CROPS/*.dcm")):
        ours = load_image(path)[..., 0]
        theirs = load_image(folder / "CBIS-JPG/TRAIN/CROPS" / f"{path.stem}.jpg")[..., 0]
        assert ours.shape == theirs.shape
        assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99
