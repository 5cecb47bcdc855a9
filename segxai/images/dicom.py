"""DICOM: the grey values of a radiograph, and the series that a file belongs to.

pydicom is imported only where a DICOM file is read: that takes longer than most images.
"""

from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIX = ".dcm"
MARK = b"DICM"  # after 128 bytes without a meaning
MAX_PIXELS = 2 * Image.MAX_IMAGE_PIXELS  # the limit of Pillow
RADIOGRAPHS = ("CR", "DX", "MG")  # modalities with two-dimensional images


def is_dicom(content: BinaryIO) -> bool:
    """Whether the content of a file, whatever its name, begins like DICOM."""
    return content.read(132)[128:] == MARK


def read_grey(path: Path) -> np.ndarray:
    """Read a radiograph as its viewer would show it.

    The stored values go through the file's own modality table or rescaling, and its table or window
    of values of interest (the first, where it offers several; a table before a window). Without
    either, the rescaled smallest and largest values of its bits become the extremes. The image's
    own extremes are not used, so equal values stay equal between images. Low rescaled values are
    dark, whatever the sign of the slope; with MONOCHROME1 they are bright.

    Returns
    -------
    grey : ndarray, (H, W)
        uint8 in 0…255 where the file stores up to 8 bits, else uint16 in 0…65535.

    Raises
    ------
    ValueError
        If it is not a single grey radiograph, or its pixels, tables or window cannot be used.
    OSError
        If the file is missing or not DICOM.
    """
    dataset = read_dataset(path)
    modality = dataset.get("Modality") or "unknown"
    if "PixelData" not in dataset:
        raise ValueError(f"it ends before its pixels or has none (modality {modality})")
    if modality not in (*RADIOGRAPHS, "unknown"):
        raise ValueError(f"its modality is {modality} and not one of {', '.join(RADIOGRAPHS)}")
    if (frames := int(dataset.get("NumberOfFrames") or 1)) > 1:
        raise ValueError(f"it holds {frames} frames instead of one image")
    if dataset.Rows * dataset.Columns > MAX_PIXELS:
        raise ValueError(f"it announces {dataset.Rows}×{dataset.Columns} pixels")
    if "SharedFunctionalGroupsSequence" in dataset:
        raise ValueError("its window lies in functional groups, which are not read")
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"its pixels are {dataset.PhotometricInterpretation} and not grey")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not decodable(syntax):
        raise ValueError(
            f"no installed package decodes its compression, {syntax.name}: decompress it"
        )
    bits = int(dataset.BitsStored)
    if bits > 16:
        raise ValueError(f"{bits}-bit pixels have no known range")
    pixels = stored_values(dataset)
    lowest = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    white = 255 if bits <= 8 else 65535
    shares = shown_shares(np.arange(lowest, lowest + 2**bits), dataset)
    shown = np.round(white * shares).astype(np.uint8 if bits <= 8 else np.uint16)
    grey = shown[np.subtract(pixels, lowest, dtype=np.int32)]
    return white - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def series_uid(path: Path) -> str:
    """Read the SeriesInstanceUID from a file's header.

    Raises
    ------
    ValueError, OSError
        If the header lacks this UID; otherwise see :func:`read_grey`.
    """
    uid = read_dataset(path, specific_tags=["SeriesInstanceUID"]).get("SeriesInstanceUID")
    if not uid:
        raise ValueError("it has no SeriesInstanceUID")
    return str(uid)


def read_dataset(path: Path, specific_tags: list[str] | None = None):
    """Read a file, or only some tags of its header.

    A deflated file is refused: pydicom would unpack it in memory, whatever its size.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info

    try:
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
        if syntax is not None and syntax.is_deflated:
            raise ValueError("it is deflated: decompress it")
        header_only = specific_tags is not None
        return dcmread(path, stop_before_pixels=header_only, specific_tags=specific_tags)
    except InvalidDicomError:
        raise UnidentifiedImageError("not a DICOM file") from None


def decodable(syntax) -> bool:
    """Whether an installed package decodes a compression."""
    from pydicom.pixels import get_decoder

    return get_decoder(syntax).is_available


def stored_values(dataset) -> np.ndarray:
    """Pixels (H, W) as stored, shifted down to the lowest bits of their words."""
    stored = dataset.BitsStored
    below = dataset.get("HighBit", stored - 1) + 1 - stored
    if below < 0:
        raise ValueError(f"its HighBit {dataset.HighBit} leaves too few bits for {stored}")
    # pydicom drops the bits above those stored, and takes the lowest for the first of these.
    dataset.BitsStored = stored + below
    return dataset.pixel_array >> below


def shown_shares(stored: np.ndarray, dataset) -> np.ndarray:
    """Brightness, 0…1, of all values that a file can store; removes the rescaling of `dataset`."""
    from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing

    if tables := dataset.get("ModalityLUTSequence"):
        fit_table(tables[0], stored)
    # pydicom ignores a slope without an intercept.
    for name, neutral in (("RescaleSlope", 1), ("RescaleIntercept", 0)):
        if dataset.get(name) is None:
            setattr(dataset, name, neutral)
    levels = apply_modality_lut(stored, dataset).astype(float)
    # The values are rescaled now; pydicom spreads their window over the range of the bits.
    for name in ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept"):
        dataset.pop(name, None)
    dataset.BitsStored, dataset.PixelRepresentation = 16, 0
    # Some files hold an empty window.
    has_window = dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None
    if tables := dataset.get("VOILUTSequence"):
        n_entries, first, bits = fit_table(tables[0], levels)
        inside = np.round(levels).clip(first, first + n_entries - 1).astype(int)
        shares = apply_voi(inside, dataset) / (2**bits - 1)
    elif has_window:
        shares = apply_windowing(levels, dataset) / (2**16 - 1)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = (levels - levels.min()) / np.ptp(levels)
    if not np.isfinite(shares).all() or np.ptp(shares) == 0:
        raise ValueError("its rescaling, table or window does not span a range of values")
    return shares.clip(0, 1)


def fit_table(item, levels: np.ndarray) -> tuple[int, int, int]:
    """Describe a look-up table as pydicom applies it; return its length, first level and bits.

    Files write numbers above 32767 as negative ones or the reverse, and entries of 8 bits in a byte
    each; pydicom also cuts levels to the bits of the entries.
    """
    n_entries, first, bits = item.LUTDescriptor
    n_entries = n_entries % 2**16 or 2**16
    if first > levels.max():
        first -= 2**16
    elif first + n_entries <= levels.min():
        first += 2**16
    if not 1 <= bits <= 16:
        raise ValueError(f"its table has entries of {bits} bits")
    if isinstance(item.LUTData, bytes) and len(item.LUTData) < 2 * n_entries:
        item.add_new("LUTData", "US", list(item.LUTData[:n_entries]))
    item.add_new("LUTDescriptor", "SL", [n_entries, first, 16])
    return n_entries, first, bits
