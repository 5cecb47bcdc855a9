"""DICOM files that nobody checked: their grey values, or one sentence."""

from functools import partial

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from segxai.datasets.cbis_ddsm import identify
from segxai.images.load import load_image, load_mask
from tests.hostile.refusal import refused
from tests.unit.dicoms import write_dicom

DEEP = np.array([[0, 256, 1000], [32768, 40000, 65535]], np.uint16)
SHALLOW = (DEEP >> 8).astype(np.uint8)
COPY = "replace it by an intact copy"


def compressed(syntax) -> dict:
    return {"TransferSyntaxUID": syntax, "PixelData": encapsulate([b"\xff\xd8\xff" * 9])}


TAGS = {
    "structured report": (None, {"Modality": "SR"}, "has none"),
    "no pixels": (None, {}, "has none"),
    "computed tomography": (DEEP, {"Modality": "CT"}, "its modality is CT"),
    "ultrasound": (DEEP, {"Modality": "US"}, "its modality is US"),
    "film of frames": (np.stack([DEEP] * 3), {"NumberOfFrames": 3}, "it holds 3 frames"),
    "colours": (DEEP, {"PhotometricInterpretation": "RGB"}, "are RGB and not grey"),
    "palette": (DEEP, {"PhotometricInterpretation": "PALETTE COLOR"}, "not grey"),
    "jpeg-ls": (DEEP, compressed(JPEGLSLossless), "nothing here decodes|cannot be read"),
    "htj2k": (DEEP, compressed(HTJ2KLossless), "nothing here decodes|cannot be read"),
    "jpeg 2000 of nonsense": (DEEP, compressed(JPEG2000Lossless), "cannot be read"),
    "mpeg": (DEEP, compressed(MPEG2MPML), "nothing here decodes|cannot be read"),
    "rle of nonsense": (DEEP, compressed(RLELossless), "cannot be read"),
    "slope of NaN": (DEEP, {"RescaleSlope": "NaN", "RescaleIntercept": 0}, "does not span a range"),
    "slope of infinity": (
        DEEP,
        {"RescaleSlope": "inf", "RescaleIntercept": 0},
        "does not span a range",
    ),
    "slope of 0": (DEEP, {"RescaleSlope": 0, "RescaleIntercept": 3}, "does not span a range"),
    "window of no width": (DEEP, {"WindowCenter": 9, "WindowWidth": 0}, "Window Width"),
    "window of NaN": (DEEP, {"WindowCenter": "NaN", "WindowWidth": 9}, "no range|cannot be read"),
    "more rows than pixels": (DEEP, {"Rows": 5}, "pixel data"),
    "65,535 rows and columns": (DEEP, {"Rows": 65535, "Columns": 65535}, "announces 65535×65535"),
    "endless by compression": (
        DEEP,
        compressed(RLELossless) | {"Rows": 65535, "Columns": 65535},
        "announces 65535×65535",
    ),
    "no rows": (DEEP, {"Rows": 0}, "cannot be read"),
    "32 bits": (DEEP.astype(np.uint32), {}, "32-bit pixels"),
    "more bits stored than there are": (SHALLOW, {"BitsStored": 16}, "cannot be read"),
    "three samples": (DEEP, {"SamplesPerPixel": 3}, "cannot be read"),
}


@pytest.mark.parametrize("case", TAGS)
@pytest.mark.parametrize("load", [load_image, load_mask])
@pytest.mark.filterwarnings("ignore")
def test_other_files_than_radiographs_are_refused(tmp_path, case, load):
    """For any tags, the sentence names the file, the reason and the remedy."""
    pixels, tags, problem = TAGS[case]
    path = write_dicom(tmp_path / "a b.dcm", pixels, **tags)
    refused(partial(load, path), f"^{path}: .*({problem})", COPY, tmp_path)


def having(**tags):
    def spoil(path):
        dataset = dcmread(path)
        for name, value in tags.items():
            setattr(dataset, name, value)
        dataset.save_as(path)

    return spoil


def without(tag: str):
    def spoil(path):
        dataset = dcmread(path)
        del dataset[tag]
        dataset.save_as(path)

    return spoil


def deflated(path):
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path, implicit_vr=False, little_endian=True)


SPOILT = {
    **{
        f"cut after {kept} bytes": (
            lambda path, kept=kept: path.write_bytes(path.read_bytes()[:kept])
        )
        for kept in (0, 1, 100, 131, 132, 150, 200, 300, 350, -100, -1)
    },
    "syntax of nobody": lambda path: path.write_bytes(
        path.read_bytes().replace(b"1.2.840.10008.1.2\0", b"1.2.840.99999.1.2\0")
    ),
    "no bits": having(BitsStored=0),
    "32,768 bits": having(BitsStored=32768),
    "no mark": lambda path: path.write_bytes(path.read_bytes().replace(b"DICM", b"DIMC")),
    "png called dcm": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200)),
    "no interpretation": without("PhotometricInterpretation"),
    "no columns": without("Columns"),
    "no bits stored": without("BitsStored"),
    "no bits allocated": without("BitsAllocated"),
    "deflated": deflated,
}


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.filterwarnings("ignore")
def test_spoilt_files_are_refused(tmp_path, how):
    """Wherever a file is cut, and whatever its header lacks, it is named."""
    path = write_dicom(tmp_path / "a.dcm", np.zeros((10, 10), np.uint16), Modality="MG")
    SPOILT[how](path)
    refused(partial(load_image, path), f"^{path}: ", COPY, tmp_path)


@pytest.mark.parametrize(
    "how", ["cut after 0 bytes", "cut after 100 bytes", "no mark", "png called dcm", "deflated"]
)
@pytest.mark.filterwarnings("ignore")
def test_series_without_header_are_refused(tmp_path, how):
    """A folder of no known name, whose first file has no header, is named by that file."""
    path = write_dicom(tmp_path / "other" / "a.dcm", np.zeros((10, 10), np.uint16))
    SPOILT[how](path)
    refused(partial(identify, path.parent), "a.dcm: its header cannot be read", "intact copy")


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"RescaleSlope": 1, "RescaleIntercept": -1024}, DEEP),
        ({"WindowCenter": None, "WindowWidth": None}, DEEP),
        ({"Modality": "DX"}, DEEP),
        ({"Modality": ""}, DEEP),
        ({"NumberOfFrames": 1}, DEEP),
        ({"BitsStored": 12}, (DEEP & 4095) * (65535 / 4095)),  # the bits above are not pixels
        ({"PatientName": "Müller^Ä", "SpecificCharacterSet": "ISO_IR 192"}, DEEP),
        ({"PhotometricInterpretation": "MONOCHROME1"}, 65535 - DEEP),
    ],
)
def test_unusual_tags_change_nothing_else(tmp_path, tags, expected):
    """The grey values are those stored, over their full range."""
    image = load_image(write_dicom(tmp_path / "a.dcm", DEEP, **tags))
    np.testing.assert_array_equal(image[..., 0], np.round(expected * (255 / 65535)))
