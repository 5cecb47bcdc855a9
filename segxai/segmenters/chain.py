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
from segxai.images.masks import Masks
from segxai.job.files import read_rows
from segxai.metrics.scoring import true_mask


class Item(NamedTuple):
    """Inputs of the mask of one target."""

    stored: StoredMap
    shape: tuple[int, int]  # (H, W) of the analysis size
    view_reads: dict  # input of the view besides the attribution: `keys` (h, w, d), or nothing
    reads: dict  # inputs of the segmenter besides the view: see :meth:`Explained.__getitem__`


@dataclass(frozen=True)
class Explained:
    """The explained targets of a network, an :class:`Item` each, read on access."""

    targets: pd.DataFrame  # rows of the list of targets, in the order of the maps
    maps: Maps
    images: np.ndarray
    display: tuple[int, ...]
    key_places: np.ndarray | None  # of the image of each target among the chosen ones
    view_keys: np.ndarray | None
    keys: np.ndarray | None
    coarse: np.ndarray | None
    truths: Masks | None

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the images."""
        return self.images.shape[1:3]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> Item:
        """Return the inputs of a mask; the segmenter's, as far as it reads them, are these.

        `keys` (h, w, d), float16, centred; `mask` (H, W), 0 and 1, to be refined, and `image`
        (H, W, 3), uint8; `truth` (H, W), bool, None where the outline is unknown.
        """
        target, view_reads, reads = self.targets.iloc[place], {}, {}
        if self.view_keys is not None:
            view_reads["keys"] = self.view_keys[self.key_places[place]]
        if self.keys is not None:
            reads["keys"] = self.keys[self.key_places[place]]
        if self.coarse is not None:
            reads["mask"] = self.coarse[place]
            reads["image"] = display_image(self.images[target.row], self.display)
        if self.truths is not None:
            reads["truth"] = true_mask(self.truths, target)
        return Item(self.maps[place], self.shape, view_reads, reads)


def read_explained(
    maps: str | Path,
    rows: str | Path,
    targets: str | Path,
    images: str | Path,
    display: list[int],
    chosen: str | Path | None = None,
    view_keys: str | Path | None = None,
    keys: str | Path | None = None,
    coarse: str | Path | None = None,
    truths: Masks | None = None,
) -> Explained:
    """Open the inputs of the masks of explained targets.

    These are attributions with their table, the list of targets, and the images with the channels
    to display; the keys (n, h, w, d) of the chosen images, with the list of these, that the view or
    the segmenter reads; the masks (T, H, W) to be refined; and the true masks, for an upper bound.
    """
    stored = read_maps(maps, rows)
    table = read_rows(targets).set_index("target_id").loc[stored.table.target_id].reset_index()
    places = pd.Index(read_rows(chosen).image_id).get_indexer(table.image_id) if chosen else None
    return Explained(
        targets=table,
        maps=stored,
        images=read_array(images),
        display=tuple(display),
        key_places=places,
        view_keys=read_array(view_keys) if view_keys else None,
        keys=read_array(keys) if keys else None,
        coarse=read_array(coarse) if coarse else None,
        truths=truths,
    )


def cut(item: Item, view: Callable, segment: Callable) -> np.ndarray:
    """Mask (H, W) bool of one target by a view and a segmenter, both with their settings."""
    return apply(segment, item, view(item.stored, item.shape, **item.view_reads))


def apply(segment: Callable, item: Item, grey: np.ndarray) -> np.ndarray:
    """Mask (H, W) bool of one target from a view of its attribution."""
    return segment(grey, **item.reads)
