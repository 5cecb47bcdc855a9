"""Masks of a network's explained targets, from a view of their attributions."""

from functools import partial

from segxai.images.masks import read_masks
from segxai.job.files import read_facts, read_rows
from segxai.job.log import run
from segxai.job.parallel import map_images
from segxai.segmenters.chain import cut, read_explained
from segxai.segmenters.writing import write_masks
from segxai.workflow.plugins import load


def main(
    maps, rows, targets, images, segmenter, view, display, settings, threads, masks, facts,
    chosen=None, view_keys=None, token_keys=None, coarse=None,
    samples=None, truth=None, outlines=None,
):  # fmt: skip
    truths = read_masks(truth, outlines, read_rows(samples)) if truth else None
    made_of = (chosen, view_keys, token_keys, coarse, truths)
    explained = read_explained(maps, rows, targets, images, display, *made_of)
    tuned = read_facts(settings)
    view_module, view_settings = load("views", view | tuned["view"])
    segmenter_module, segmenter_settings = load("segmenters", segmenter | tuned["segmenter"])
    work = partial(
        cut,
        view=partial(view_module.view, **view_settings),
        segment=partial(segmenter_module.segment, **segmenter_settings),
    )
    n_targets = len(explained)
    items = (explained[place] for place in range(n_targets))
    results = map_images(work, items, n_targets, threads, "targets segmented")
    # A map without contrast explains nothing, and neither does its mask.
    known = explained.maps.table[["target_id", "constant"]]
    write_masks(results, known, explained.shape, masks, facts)


if __name__ == "__main__":
    run(main, snakemake)
