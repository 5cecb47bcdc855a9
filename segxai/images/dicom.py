"""DICOM: the grey values of a radiograph, and the series that a file belongs to.

pydicom is imported only where a DICOM file is read: that takes longer than most images.
"""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

SUFFIX = ".dcm"
MAX_PIXELS = 2 * Image.MAX_IMAGE_PIXELS  # where Pillow stops, too
RADIOGRAPHS = ("CR", "DX", "MG")  # modalities whose images are flat


def read_grey(path: Path) -> np.ndarray:
    """Read a radiograph as 8-bit grey, bright where its viewer would show it bright.

    The stored values go through the file's own rescaling and window (its first, where it offers
    several); without a window, the full range of its bits (0…2^BitsStored − 1, or the signed one)
    becomes 0…255. The image's own extremes play no part: equal values stay equal between images.
    MONOCHROME1, where low values are bright, is inverted.

    Returns
    -------
    grey : ndarray of uint8, (H, W)

    Raises
    ------
    ValueError
        If it is not a single grey radiograph, or its pixels or its window cannot be used.
    OSError
        If there is no such file, or no DICOM file.
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
    if dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"its pixels are {dataset.PhotometricInterpretation} and not grey")
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax.is_compressed and not decodable(syntax):
        raise ValueError(f"nothing here decodes its compression, {syntax.name}: decompress it")
    lowest, shown = grey_levels(dataset)
    grey = shown[np.subtract(dataset.pixel_array, lowest, dtype=np.int32)]
    return 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey


def series_uid(path: Path) -> str:
    """Read the SeriesInstanceUID from a file's header.

    Raises
    ------
    ValueError, OSError
        If it has none, as for :func:`read_grey`.
    """
    uid = read_dataset(path, specific_tags=["SeriesInstanceUID"]).get("SeriesInstanceUID")
    if not uid:
        raise ValueError("it has no SeriesInstanceUID")
    return str(uid)


def read_dataset(path: Path, specific_tags: list[str] | None = None):
    """Read a file, or only some tags of its header.

    A deflated file is refused: it would be unpacked in memory, whatever its size.
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
        raise UnidentifiedImageError("no DICOM file") from None


def decodable(syntax) -> bool:
    """Whether an installed package decodes a compression."""
    from pydicom.pixels import get_decoder

    return get_decoder(syntax).is_available


def grey_levels(dataset) -> tuple[int, np.ndarray]:
    """Smallest value that the file can store, and what it and each above is shown as, 0…255."""
    from pydicom.pixels import apply_modality_lut, apply_windowing

    bits = int(dataset.BitsStored)
    if bits > 16:
        raise ValueError(f"{bits}-bit pixels have no known range")
    lowest = -(2 ** (bits - 1)) if dataset.PixelRepresentation else 0
    levels = apply_modality_lut(np.arange(lowest, lowest + 2**bits), dataset).astype(float)
    # Some files hold an empty window.
    has_window = dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None
    shown = apply_windowing(levels, dataset) if has_window else levels
    # A window spreads its values over the range of all levels.
    with np.errstate(invalid="ignore", divide="ignore"):
        share = (shown - levels[0]) / (levels[-1] - levels[0])
    if not np.isfinite(share).all():
        raise ValueError("its rescaling or window is no range of values")
    return lowest, np.round(255 * share.clip(0, 1)).astype(np.uint8)
