"""DICOM radiographs come out as their viewer shows them; hostile files get one sentence."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless, generate_uid

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
        (DEEP, COMPRESSED, "nothing here decodes its compression, JPEG-LS Lossless"),
        (DEEP, {"RescaleSlope": "NaN", "RescaleIntercept": "0"}, "no range of values"),
        (DEEP, {"RescaleSlope": 0, "RescaleIntercept": 3}, "no range of values"),
        (DEEP, {"WindowCenter": 9, "WindowWidth": 0}, "Window Width must be greater"),
        (DEEP, {"WindowCenter": 9, "WindowWidth": "NaN"}, "no range of values"),
        (DEEP, {"Rows": 5}, "pixel data"),
        (DEEP.astype(np.uint32), {}, "32-bit pixels have no known range"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")
def test_what_is_no_radiograph_is_one_sentence(tmp_path, pixels, tags, reason):
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
        (100, "is no image that can be read"),
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
    """The series is read from the header alone, and its absence is said."""
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
