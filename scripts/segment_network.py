"""Masks of one shard of images, by a segmenter that reads a network."""

from functools import partial

import numpy as np
from skimage.transform import resize

from segxai.images.arrays import read_array
from segxai.images.display import display_image
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import InputError, log, run
from segxai.job.parallel import map_images
from segxai.segmenters.writing import write_masks
from segxai.workflow.plugins import load


def main(
    images, chosen, segmenter, network, classes, channels, display, shard, torch_threads, threads,
    masks, facts,
    weights=None, statistics=None, card=None, predictions=None,
):  # fmt: skip
    # The worker processes load this file too, and do not need torch.
    from segxai.segmenters.network_inputs import load_network

    pixels = read_array(images)
    shape = pixels.shape[1:3]
    segmented = read_rows(chosen).query("shard == @shard")
    module, settings = load("segmenters", segmenter)
    reads = module.ABOUT["reads"]
    trained = (weights, card, statistics) if weights else None
    device, size = torch_device(torch_threads), segmenter.get("input_size")
    body = load_network(network, size, trained, len(channels), device)
    labels = predicted_labels(predictions, classes) if "levels" in reads else {}

    def arguments(row, image_id):
        shown = display_image(pixels[row], display)
        # A body used as published has three channels.
        seen = pixels[row] if trained else shown
        inputs = read(reads[0], body, seen, segmenter, labels.get(image_id))
        require_finite(inputs, weights or f"networks.{segmenter['network']}", image_id)
        return (inputs, shown) if "image" in reads else (inputs,)

    items = map(arguments, segmented.row, segmented.image_id)
    work = partial(segment_image, segment=partial(module.segment, **settings), shape=shape)
    results = map_images(work, items, len(segmented), threads, "images segmented")
    log_cuts(write_masks(results, segmented[["image_id"]], shape, masks, facts))


def predicted_labels(predictions, classes) -> dict[str, int]:
    """Index of the predicted class of each image, the first of several."""
    table = read_rows(predictions).query("predicted == 1").drop_duplicates("image_id")
    return dict(zip(table.image_id, map(classes.index, table["class"]), strict=True))


def read(source, network, image, segmenter, label):
    """Read the segmenter's input from the network; None without a predicted class."""
    from segxai.segmenters import network_inputs

    if source == "keys":
        return network_inputs.keys(network, image, segmenter.get("centre", False))
    if source == "levels":
        return None if label is None else network_inputs.levels(network, image, label)
    return network_inputs.probabilities(network, image)


def require_finite(inputs, weights, image_id):
    arrays = inputs if isinstance(inputs, list) else [inputs]
    if inputs is not None and not all(np.isfinite(array).all() for array in arrays):
        raise InputError(
            f"{weights}: the network's output for image {image_id} holds NaN or infinite values; "
            "replace its weights, or delete them and run again to train it."
        )


def segment_image(arguments, segment, shape):
    """Mask of one image at its own size, possibly with facts; empty without a predicted class."""
    if arguments[0] is None:
        return np.zeros(shape, bool)
    result = segment(*arguments)
    if isinstance(result, tuple) or result.shape == shape:
        return result
    return resize(result, shape, order=0)


def log_cuts(table):
    """Log facts about the cuts, and the images without one."""
    if "problem" not in table:
        return
    log.info(
        "%.1f objects per image; smallest eigengap %.2g; dense solver used %d times",
        *(table.objects.mean(), table.eigengap.min(), table.dense.sum()),
    )
    for problem, rows in table[table.problem != ""].groupby("problem").image_id:
        log.warning("%d images have no cut (%s, …): %s", len(rows), rows.iloc[0], problem)


if __name__ == "__main__":
    run(main, snakemake)
