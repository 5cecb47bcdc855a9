"""Settings of a segmenter and its view: the best of a grid by mean Dice on validation images."""

import json
from functools import partial

import numpy as np
import pandas as pd

from segxai.images.masks import read_masks
from segxai.job.files import read_facts, read_rows, write_json, write_table
from segxai.job.log import log, run
from segxai.job.parallel import map_images
from segxai.segmenters.chain import read_explained
from segxai.segmenters.tuning import candidates, trial_scores
from segxai.workflow.plugins import load


def main(
    maps, rows, targets, samples, images, truth, outlines, segmenter, view, grid, n_images, display,
    threads, settings, trials,
    features=None, chosen=None, coarse=None, coarse_settings=None,
):  # fmt: skip
    explained = read_explained(maps, rows, targets, images, display, features, chosen, coarse)
    items = validation_items(explained, read_rows(samples), truth, outlines, n_images)
    view_module, view_settings = load("views", view)
    segmenter_module, segmenter_settings = load("segmenters", segmenter)
    view_tried = candidates(view_settings, grid.get(view["method"], {}))
    if coarse:
        # The mask that is refined was cut from this view.
        view_tried = [read_facts(coarse_settings)["view"]]
    segmenter_tried = candidates(segmenter_settings, grid.get(segmenter["method"], {}))
    functions = {"view": view_module.view, "segment": segmenter_module.segment}
    score = partial(
        trial_scores, **functions, view_settings=view_tried, segmenter_settings=segmenter_tried
    )
    dice = [*map_images(score, items, len(items), threads, "validation images tried")]
    tried = [{"view": v, "segmenter": s} for v in view_tried for s in segmenter_tried]
    means = np.nanmean(dice, axis=0) if dice else np.full(len(tried), np.nan)
    table = trial_table(tried, means).assign(n=len(items))
    log.info("Dice %.3f by default, %.3f at best", means[0], means[table.chosen].item())
    write_json(settings, tried[int(means.argmax())])
    write_table(trials, table)


def validation_items(explained, samples, truth, outlines, n_images) -> list:
    """The first explained validation images whose outline is known, with their true masks."""
    true_masks = read_masks(truth, outlines, samples)
    outlined = samples.mask_pixels.notna()[explained.targets.row].to_numpy()
    places = np.flatnonzero((explained.targets.split == "validation") & outlined)[:n_images]
    if len(places) == 0:
        log.warning("no validation image is explained: the default settings are kept")
    return [(explained[place], true_masks.union(explained.targets.row[place])) for place in places]


def trial_table(tried, means) -> pd.DataFrame:
    """One row per candidate: its settings, its mean Dice, whether it is the default or chosen."""
    index = np.arange(len(tried))
    return pd.DataFrame(
        {
            "settings": [json.dumps(settings) for settings in tried],
            "dice": means,
            "default": index == 0,
            "chosen": index == means.argmax(),
        }
    )


if __name__ == "__main__":
    run(main, snakemake)
