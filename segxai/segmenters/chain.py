"""From the attribution of one target to its mask: view, coarse mask, refined mask."""

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
    """What the mask of one target is made from.

    Attributes
    ----------
    stored : StoredMap
    shape : tuple of int
        (H, W) of the analysis size.
    reads : dict
        What the view reads beyond the attribution, by name: `features`, or nothing.
    refined : tuple
        For a segmenter that refines another's mask: image (H, W, 3), uint8, and that mask (H, W);
        else empty.
    """

    stored: StoredMap
    shape: tuple[int, int]
    reads: dict
    refined: tuple


@dataclass(frozen=True)
class Explained:
    """The explained targets of a network, an :class:`Item` each, read when it is asked for.

    Attributes
    ----------
    targets : DataFrame, (T,)
        Rows of the list of targets, in the order of the maps.
    """

    targets: pd.DataFrame
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
    """Open what masks of explained targets are made from.

    Parameters
    ----------
    maps, rows
        Attributions and their table (`target_id`).
    targets
        The list of targets (`target_id`, `image_id`, `row`).
    images, display
        Images (N, H, W, C), and the three channels that show them.
    features, chosen
        Feature maps (n, h, w) and the list of the images that they are of, where the view reads
        them.
    coarse
        Masks (T, H, W) of the segmenter that is refined, if it is.
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
    """Mask (H, W) bool of one target.

    `view` and `segment` are those of a view's and a segmenter's module, with their settings.
    """
    grey = view(item.stored, item.shape, **item.reads)
    return apply(segment, item, grey)


def apply(segment: Callable, item: Item, grey: np.ndarray) -> np.ndarray:
    """Mask (H, W) bool of one target from a view of its attribution."""
    if not item.refined:
        return segment(grey)
    image, mask = item.refined
    return segment(mask, grey, image)
