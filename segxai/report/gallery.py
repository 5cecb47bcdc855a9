"""Pictures inside a page: no file beside it, and no more bytes than a thumbnail needs."""

import base64
import io

import matplotlib as mpl
import numpy as np
from PIL import Image

from segxai.report.examples import Examples
from segxai.report.outlines import svg_path
from segxai.report.style import DPI, PAGE, RELEVANCE_MAP

IMAGE_SIDE, RELEVANCE_SIDE = 240, 120
JPEG_QUALITY = 82


def data_uri(content: bytes, kind: str) -> str:
    """Put a file's bytes into an address that needs no network, for example of kind image/png."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(pixels: np.ndarray, side: int) -> str:
    """Thumbnail of an image (H, W, 3) uint8, its longer side at most `side` px, as a data URI."""
    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return data_uri(buffer.getvalue(), "image/jpeg")


def heat(relevance: np.ndarray) -> np.ndarray:
    """Colour a relevance map (H, W) uint8 by the perceptual map of the figures, (H, W, 3) uint8."""
    return mpl.colormaps[RELEVANCE_MAP](relevance, bytes=True)[..., :3]


def figure(png: bytes, caption: str) -> dict:
    """Take a figure and its caption, whose first sentence is its title, into the page.

    Returns
    -------
    dict
        uri, title, caption, and share, its part of a page's width, in 0…1.
    """
    title, _, rest = " ".join(caption.split()).partition(". ")
    share = Image.open(io.BytesIO(png)).width / (PAGE * DPI)
    return {
        "uri": data_uri(png, "image/png"),
        "title": title,
        "caption": rest,
        "share": f"{min(share, 1):.3f}",
    }


def gallery(examples: Examples) -> list[dict]:
    """Describe each example for the page: facts, scores in percent, pictures and outlines.

    Returns
    -------
    list of dict
        id, split, label, target, completeness (error, fraction), height, width, image and
        relevance (JPEG data URIs), truth (SVG path), and masks by method with dice, iou and path.
    """
    items = []
    for place, row in examples.table.iterrows():
        height, width = examples.truth[place].shape
        items.append(
            {
                "id": row.image_id,
                "split": row.split,
                "label": row.label,
                "target": row.target,
                "completeness": round(row.completeness_error, 4),
                "height": height,
                "width": width,
                "image": jpeg_uri(examples.images[place], IMAGE_SIDE),
                "relevance": jpeg_uri(heat(examples.relevance[place]), RELEVANCE_SIDE),
                "truth": svg_path(examples.truth[place]),
                "masks": {
                    name: {
                        "dice": round(100 * row[f"dice:{name}"], 1),
                        "iou": round(100 * row[f"iou:{name}"], 1),
                        "path": svg_path(masks[place]),
                    }
                    for name, masks in examples.masks.items()
                },
            }
        )
    return items
