"""The steps from an attribution to a mask: view, coarse mask, refined mask."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from segxai.explain.maps import Maps, StoredMap, read_maps
from segxai.images.arrays import read_array
from segxai.images.display import display_image
from segxai.job.files import read_rows


class Item(NamedTuple):
    """Inputs of the mask of one target."""

    stored: StoredMap
    shape: tuple[int, int]  # (H, W) of the analysis size
    reads: dict  # input of the view besides the attribution: `features`, or nothing
    refined: tuple  # the image (H, W, 3), uint8, and the mask (H, W) to be refined, or nothing


@dataclass(frozen=True)
class Explained:
    """The explained targets of a network, an :class:`Item` each, read on access."""

    targets: pd.DataFrame  # rows of the list of targets, in the order of the maps
    maps: Maps
    images: np.ndarray
    display: tuple[int, ...]
    features: np.ndarray | None
    feature_places: np.ndarray | None
    coarse: np.ndarray | None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the images."""
        return self.images.shape[1:3]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> Item:
        reads = {}
        if self.features is not None:
            reads["features"] = self.features[self.feature_places[place]]
        refined = ()
        if self.coarse is not None:
            image = self.images[self.targets.row.iloc[place]]
            refined = display_image(image, self.display), self.coarse[place]
        return Item(self.maps[place], self.shape, reads, refined)


def read_explained(
    maps: str | Path,
    rows: str | Path,
    targets: str | Path,
    images: str | Path,
    display: list[int],
    features: str | Path | None = None,
    chosen: str | Path | None = None,
    coarse: str | Path | None = None,
) -> Explained:
    """Open the inputs of the masks of explained targets.

    These are attributions with their table, the list of targets, and the images with the channels
    to display; feature maps (n, h, w) with the list of their images, if the view reads them; and
    the masks (T, H, W) to be refined, if any.
    """
    stored = read_maps(maps, rows)
    table = read_rows(targets).set_index("target_id").loc[stored.table.target_id].reset_index()
    places = pd.Index(read_rows(chosen).image_id).get_indexer(table.image_id) if chosen else None
    return Explained(
        targets=table,
        maps=stored,
        images=read_array(images),
        display=tuple(display),
        features=read_array(features) if features else None,
        feature_places=places,
        coarse=read_array(coarse) if coarse else None,
    )


def cut(item: Item, view: Callable, segment: Callable) -> np.ndarray:
    """Mask (H, W) bool of one target by a view and a segmenter, both with their settings."""
    return apply(segment, item, view(item.stored, item.shape, **item.reads))


def apply(segment: Callable, item: Item, grey: np.ndarray) -> np.ndarray:
    """Mask (H, W) bool of one target from a view of its attribution."""
    if not item.refined:
        return segment(grey)
    image, mask = item.refined
    return segment(mask, grey, image)
