"""Masks of a network's explained targets, from a view of their attributions."""

from functools import partial

from segxai.job.files import read_facts
from segxai.job.log import run
from segxai.job.parallel import map_images
from segxai.segmenters.chain import cut, read_explained
from segxai.segmenters.writing import write_masks
from segxai.workflow.plugins import load


def main(
    maps, rows, targets, images, segmenter, view, display, settings, threads, masks, facts,
    features=None, chosen=None, coarse=None,
):  # fmt: skip
    explained = read_explained(maps, rows, targets, images, display, features, chosen, coarse)
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
