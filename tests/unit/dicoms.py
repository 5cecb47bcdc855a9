"""Tiny DICOM files for tests."""

from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian


def write_dicom(path: Path, pixels: np.ndarray | None, **tags) -> Path:
    """Write grey `pixels` as in CBIS-DDSM (MG, MONOCHROME2, implicit), with changed `tags`."""
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.SOPInstanceUID, dataset.Modality = "1.2.3", "MG"
    if pixels is not None:
        bits = 8 * pixels.itemsize
        dataset.Rows, dataset.Columns = pixels.shape[-2:]
        dataset.BitsAllocated = dataset.BitsStored = bits
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        dataset["PixelData"].VR = "OW"
    syntax = tags.pop("TransferSyntaxUID", ImplicitVRLittleEndian)
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.HighBit = tags.get("HighBit", dataset.get("BitsStored", 8) - 1)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
