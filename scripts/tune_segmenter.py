"""Settings of a segmenter and its view: the best of a grid by mean Dice on validation images."""

import json
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd

from segxai.datasets.splits import VALIDATION
from segxai.images.masks import read_masks
from segxai.job.files import read_facts, read_rows, write_json, write_table
from segxai.job.log import log, run
from segxai.job.parallel import map_images
from segxai.metrics.scoring import true_mask
from segxai.segmenters.chain import read_explained
from segxai.segmenters.tuning import candidates, trial_scores
from segxai.workflow.plugins import load


def main(
    maps, rows, targets, samples, images, truth, outlines, segmenter, view, grid, n_images, display,
    threads, settings, trials,
    chosen=None, view_keys=None, token_keys=None, coarse=None, coarse_settings=None,
):  # fmt: skip
    view_module, view_settings = load("views", view)
    segmenter_module, segmenter_settings = load("segmenters", segmenter)
    truths = read_masks(truth, outlines, read_rows(samples))
    seen = truths if "truth" in segmenter_module.ABOUT["reads"] else None
    made_of = (chosen, view_keys, token_keys, coarse, seen)
    explained = read_explained(maps, rows, targets, images, display, *made_of)
    items = validation_items(explained, truths, n_images)
    view_tried = candidates(view_settings, grid.get(view["method"], {}))
    if coarse:
        # The mask to be refined was cut from this view.
        view_tried = [read_facts(coarse_settings)["view"]]
    segmenter_tried = candidates(segmenter_settings, grid.get(segmenter["method"], {}))
    functions = {"view": view_module.view, "segment": segmenter_module.segment}
    score = partial(
        trial_scores, **functions, view_settings=view_tried, segmenter_settings=segmenter_tried
    )
    dice = [*map_images(score, items, len(items), threads, "validation images tried")]
    tried = [{"view": v, "segmenter": s} for v in view_tried for s in segmenter_tried]
    means = np.mean(dice, axis=0) if dice else np.full(len(tried), np.nan)
    table = trial_table(tried, means).assign(n=len(items))
    log.info("Dice %.3f by default, %.3f at best", means[0], means[table.chosen].item())
    write_json(settings, tried[int(means.argmax())])
    write_table(trials, table)


def validation_items(explained, truths, n_images) -> list:
    """The first explained validation images that show their target, with the true mask."""
    targets = enumerate(explained.targets.itertuples())
    masks = ((n, true_mask(truths, target)) for n, target in targets if target.split == VALIDATION)
    shown = ((place, mask) for place, mask in masks if mask is not None and mask.any())
    items = [(explained[place], mask) for place, mask in islice(shown, n_images)]
    if not items:
        log.warning("no explained validation image shows its target: the default settings are kept")
    return items


def trial_table(tried, means) -> pd.DataFrame:
    """One row per candidate: settings, mean Dice, and whether it is the default or chosen."""
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
