"""Content of the per-image browser, and pictures embedded in the page."""

import base64
import io

import matplotlib as mpl
import numpy as np
import pandas as pd
from PIL import Image

from segxai.figures.examples import SEGMENTATION_MASK, Examples, score_key
from segxai.figures.outlines import svg_path
from segxai.figures.style import DPI, PAGE, RELEVANCE_MAP, SEGMENTATION, colours

IMAGE_SIDE, RELEVANCE_SIDE = 240, 120
JPEG_QUALITY = 82


def data_uri(content: bytes, kind: str) -> str:
    """Data URI of a file's bytes, of a kind such as image/png."""
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
    """Describe a figure for the page; the first sentence of its caption is its title.

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


def browse(examples: Examples, study: dict, dataset: str) -> dict:
    """Describe the examples of one study and data set for the browser.

    Parameters
    ----------
    study
        Facts of the study: title; methods (title and role by path); first, the path that the
        browser starts with; values, the displayed scores: metric and, where given, view, reference,
        title, short (its title in a column); and unit, percent or fraction.
    dataset
        Printed name of the data set.

    Returns
    -------
    dict
        title, study; scores (title and short by key), digits; methods (name, colour, map) and
        masks (name, colour) by path; first; refined, whether a map can be confined to the
        segmentation; predicted, whether the items are predictions; and what :func:`gallery` gives.
    """
    shades = colours({path: method["role"] for path, method in study["methods"].items()})
    shown = {score_key(value): value for value in study["values"]}
    scores = {
        key: value
        for key, value in shown.items()
        if any(f"{key}:{path}" in examples.table for path in study["methods"])
    }
    methods = {
        path: {"name": method["title"], "colour": shades[path], "map": map_of(path, examples.maps)}
        for path, method in study["methods"].items()
        if any(f"{key}:{path}" in examples.table for key in scores)
    }
    refined = SEGMENTATION_MASK in examples.masks
    masks = {path: methods[path] for path in methods if path in examples.masks}
    if refined:
        masks = {SEGMENTATION_MASK: {"name": "segmenter's mask", "colour": SEGMENTATION}}
    percent = study["unit"] == "percent"
    return {
        "title": dataset,
        "study": study["title"],
        "scores": {key: value.get("title", key) for key, value in scores.items()},
        "short": {
            key: value.get("short", value.get("title", key)) for key, value in scores.items()
        },
        "digits": 1 if percent else 2,
        "methods": methods,
        "masks": masks,
        "first": study["first"] if study["first"] in methods else next(iter(methods), ""),
        "refined": refined,
        "predicted": examples.predicted,
        **gallery(examples, list(scores), list(methods), scale=100 if percent else 1),
    }


def map_of(path: str, maps: dict) -> str | None:
    """Path of the map of a method: its own, the one that its mask was cut from, or the first."""
    cut_from = [name for name in maps if f"{path}/".startswith(f"{name}/")]
    return next(iter([*cut_from, *maps]), None)


def gallery(examples: Examples, scores: list[str], methods: list[str], scale: float) -> dict:
    """Describe images or predictions with their pictures, outlines and scores.

    Parameters
    ----------
    scores, methods
        Names in the columns ``<score>:<method>`` of the table.
    scale
        Factor of the scores: 100 for percent.

    Returns
    -------
    dict
        height and width in px; pictures, JPEG data URIs, shared by items; and items:
        id, facts, correct (null where examples are images), image and maps (places among the
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
                "id": row.image_id + (f" · {row.target}" if examples.predicted else ""),
                "facts": facts(row, examples.predicted),
                "correct": bool(row.correct == 1) if examples.predicted else None,
                "image": picture(examples.images[place], IMAGE_SIDE),
                "maps": {name: picture(heat(m), RELEVANCE_SIDE) for name, m in maps.items()},
                "truth": svg_path(examples.truth[place]),
                "masks": {name: svg_path(masks[place]) for name, masks in examples.masks.items()},
                "scores": {
                    method: {
                        score: None if pd.isna(value) else round(scale * value, 3)
                        for score, value in ((s, row.get(f"{s}:{method}")) for s in scores)
                    }
                    for method in methods
                },
            }
        )
    height, width = examples.truth.shape[1:]
    return {"height": height, "width": width, "pictures": list(pictures), "items": items}


def facts(row: pd.Series, predicted: bool) -> str:
    """Text of what an image shows and what was explained."""
    if predicted:
        verdict = "✓ correct" if row.correct == 1 else "✗ incorrect"
        return f"{row.split}; predicted {row.target}, {verdict}; shows {row.label}"
    text = f"{row.split}; shows {row.label}"
    if row.target:
        text += f", explained for {row.target}"
    # Maps of Grad-CAM and others have no sum to reach.
    if pd.isna(row.completeness_error):
        return text
    return f"{text}, completeness error {100 * row.completeness_error:.1f} %"
