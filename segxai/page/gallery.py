"""What the per-image browser shows, and pictures that need no file beside the page."""

import base64
import io

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

from segxai.figures.examples import Examples
from segxai.figures.outlines import svg_path
from segxai.figures.style import DPI, PAGE, RELEVANCE_MAP, SEGMENTATION, colours, printed_name

IMAGE_SIDE, RELEVANCE_SIDE = 240, 120
JPEG_QUALITY = 82
# Scores by which the browser orders images. The first is the one it starts with.
EXPLAINSEG_SCORES = {"dice": "Dice, %", "iou": "IoU, %"}
SEGX_SCORES = {
    "iou_segx": "IoU@5 % of SegX",
    "iou_original": "IoU@5 % of the original",
    "c_iou": "c_IoU (SegU)",
    "c_auitc": "c_AUITC (SegU)",
    "probability": "probability",
}
SHORT = {
    "dice": "Dice",
    "iou": "IoU",
    "iou_segx": "SegX",
    "iou_original": "orig.",
    "c_iou": "c_IoU",
}
SHORT |= {"c_auitc": "c_AUI.", "probability": "p"}


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


def of_explainseg(
    examples: Examples, title: str, methods: dict[str, str], shades: dict[str, str], first: str
) -> dict:
    """Describe one data set of ExplainSeg for the browser.

    Parameters
    ----------
    title
        Printed name of the data set.
    methods
        Printed name of each method that is shown.
    shades
        Colour of each method by its printed name.
    first
        The method that the browser starts with.

    Returns
    -------
    dict
        title; kind; scores, their printed names, and short, those of columns; digits; methods
        (name, row of the tables, colour, map) and masks (name, colour) by name; first; and what
        :func:`gallery` gives.
    """
    drawn = {
        name: {"name": row, "row": row, "colour": shades[row]} for name, row in methods.items()
    }
    return {
        "title": title,
        "kind": "ExplainSeg",
        "scores": EXPLAINSEG_SCORES,
        "short": SHORT,
        "digits": 1,
        "methods": {name: one | {"map": "relevance"} for name, one in drawn.items()},
        "masks": drawn,
        "first": first,
        **gallery(examples, EXPLAINSEG_SCORES, methods, scale=100),
    }


def of_segx(examples: Examples, title: str, rows: list[str]) -> dict:
    """Describe one data set of SegX for the browser, as :func:`of_explainseg` does.

    Parameters
    ----------
    rows
        Each network with its explainer.
    """
    explainers = list(dict.fromkeys(row.split()[-1] for row in rows))
    shades = colours({"explainers": explainers})
    methods = {
        row: {"name": printed_name(row), "row": row, "colour": shades[row.split()[-1]], "map": row}
        for row in rows
    }
    return {
        "title": title,
        "kind": "SegX",
        "scores": SEGX_SCORES,
        "short": SHORT,
        "digits": 2,
        "methods": methods,
        "masks": {"segmentation": {"name": "segmenter's mask", "colour": SEGMENTATION}},
        "first": rows[0],
        **gallery(examples, SEGX_SCORES, rows, scale=1),
    }


def gallery(examples: Examples, scores, methods, scale: float) -> dict:
    """Describe images or predictions with their pictures, outlines and scores.

    Parameters
    ----------
    scores, methods
        Names in the columns ``<score>:<method>`` of the table.
    scale
        What the scores are multiplied by: 100 for percent.

    Returns
    -------
    dict
        height and width in px; pictures, JPEG data URIs that several items may share; and items:
        id, facts, right (null where nothing is predicted), image and maps (places among the
        pictures), truth and masks (SVG paths), and scores by method and name, null where they
        are undefined.
    """
    pictures, items = {}, []

    def picture(pixels: np.ndarray, side: int) -> int:
        return pictures.setdefault(jpeg_uri(pixels, side), len(pictures))

    for place, row in examples.table.iterrows():
        maps = {name: maps[place] for name, maps in examples.maps.items() if maps[place].any()}
        items.append(
            {
                "id": row.image_id + (f" · {row.target}" if "present" in row else ""),
                "facts": facts(row),
                "right": bool(row.present) if "present" in row else None,
                "image": picture(examples.images[place], IMAGE_SIDE),
                "maps": {n: picture(heat(one), RELEVANCE_SIDE) for n, one in maps.items()},
                "truth": svg_path(examples.truth[place]),
                "masks": {n: svg_path(masks[place]) for n, masks in examples.masks.items()},
                "scores": {
                    method: {
                        score: None if pd.isna(value) else round(scale * value, 3)
                        for score, value in ((s, row[f"{s}:{method}"]) for s in scores)
                    }
                    for method in methods
                },
            }
        )
    height, width = examples.truth.shape[1:]
    return {"height": height, "width": width, "pictures": list(pictures), "items": items}


def facts(row: pd.Series) -> str:
    """Say what an image shows and what was explained."""
    if "present" in row:
        verdict = "✓ right" if row.present else "✗ wrong"
        return f"{row.split}; predicted {row.target}, {verdict}; shows {row.label}"
    said = f"{row.split}; shows {row.label}, explained for {row.target}"
    # Grad-CAM and others promise no sum.
    if pd.isna(row.completeness_error):
        return said
    return f"{said}, completeness error {100 * row.completeness_error:.1f} %"
