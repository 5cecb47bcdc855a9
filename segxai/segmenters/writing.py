"""Masks on disk: one row per target or image, and a table of facts beside them."""

from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.images.arrays import npy_rows
from segxai.job.files import atomic_path, write_table
from segxai.job.log import log


def mask_key(table: pd.DataFrame) -> str:
    """Column that identifies masks: `target_id` for masks cut from maps, else `image_id`."""
    return "target_id" if "target_id" in table else "image_id"


def write_masks(
    results: Iterable[np.ndarray | tuple[np.ndarray, dict]],
    known: pd.DataFrame,
    shape: tuple[int, int],
    masks: str | Path,
    facts: str | Path,
) -> pd.DataFrame:
    """Write the masks of a segmenter, as 0 and 1, and its facts about each.

    Parameters
    ----------
    results
        For each row of `known` a mask (H, W) or (C, H, W), bool, alone or with its facts.
    known
        `target_id` or `image_id` of each mask, and other facts that are known before.
    shape
        (H, W) of the images.
    masks, facts
        Files: uint8 of shape (n, H, W) or (n, C, H, W), and the table, which is returned too.
    """
    pairs = (result if isinstance(result, tuple) else (result, {}) for result in results)
    first = list(islice(pairs, 1))
    row_shape = first[0][0].shape if first else shape
    facts_of_each, areas = [], []
    with atomic_path(masks) as path, npy_rows(path, row_shape) as append:
        for mask, described in chain(first, pairs):
            append(mask.astype(np.uint8))
            facts_of_each.append(described)
            areas.append(float(mask.mean()))
    table = known.reset_index(drop=True).join(pd.DataFrame(facts_of_each))
    write_table(facts, table)
    log.info(
        "mean mask area %.1f %% of the image; %d of %d masks are empty",
        100 * sum(areas) / max(len(areas), 1),
        areas.count(0),
        len(areas),
    )
    return table
