"""Masks of one shard by Normalized Cuts of a transformer's keys: TokenCut or MaskCut."""

from functools import partial

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_rows
from segxai.images.arrays import read_array
from segxai.job.cache import image_cache, job_key
from segxai.job.device import torch_device
from segxai.job.files import read_rows
from segxai.job.log import job, log
from segxai.job.parallel import map_images
from segxai.segmenters.tokens import segment_keys

COLUMNS = ["image_id", "objects", "eigengap", "dense", "problem", "area"]


def main(
    samples,
    images,
    trained,
    model,
    classes,
    method,
    features,
    cut,
    selection,
    threads,
    workers,
    key,
    masks,
    facts,
):
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    pixels = read_array(images)
    device = torch_device(threads)
    keys = read_keys(trained, model, classes, features["input_size"], features["centre"], device)
    work = partial(segment_keys, method=method, settings=cut)
    shape = pixels.shape[1:3]
    with image_cache(masks, len(chosen), key, shape, table=facts, columns=COLUMNS) as cache:
        rest = chosen[cache.done :]
        items = ((keys(pixels[row]), pixels[row]) for row in rest)
        results = map_images(work, items, len(rest), workers, "images segmented")
        for row, (mask, fact) in zip(rest, results, strict=True):
            fact |= {"image_id": table.image_id[row], "area": float(mask.mean())}
            cache.append([mask.astype(np.uint8)], [[fact[name] for name in COLUMNS]])
    tell(pd.DataFrame(cache.facts, columns=COLUMNS))


def read_keys(trained, model, classes, input_size, centre, device):
    """Return the function from an image (H, W, 3) to the keys (h, w, d) of its tokens."""
    # The workers that cut load this file too, and have no use for torch.
    from segxai.networks.keys import key_features
    from segxai.networks.network import Classifier

    # Position embeddings are interpolated to the size of the input.
    arguments = model["arguments"] | {"dynamic_img_size": True}
    model = model | {"arguments": arguments, "input_size": input_size}
    if trained:
        classifier = Classifier.load(*trained, model, len(classes), device)
    else:
        classifier = Classifier.published(model, device)

    def keys(image):
        return key_features(classifier.network, classifier.inputs(image), centre)[0].cpu().numpy()

    return keys


def tell(found):
    """Log what became of the cuts; images without one are never passed over in silence."""
    areas = 100 * found.area.mean(), int((found.area == 0).sum())
    log.info("mean mask area %.1f %% of the image; %d masks are empty", *areas)
    log.info(
        "%.1f objects an image; smallest eigengap %.2g; dense solver asked %d times",
        found.objects.mean(),
        found.eigengap.min(),
        found.dense.sum(),
    )
    for problem, images in found[found.problem != ""].groupby("problem").image_id:
        log.warning("%d images have no cut (%s, …): %s", len(images), images.iloc[0], problem)


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            trained=snakemake.input.trained,
            model=snakemake.params.model,
            classes=snakemake.params.classes,
            method=snakemake.wildcards.segmenter,
            features=snakemake.params.features,
            cut=snakemake.params.cut,
            selection=snakemake.params.selection | {"shard": int(snakemake.wildcards.shard)},
            threads=snakemake.params.threads,
            workers=snakemake.threads,
            key=job_key(snakemake),
            masks=snakemake.output.masks,
            facts=snakemake.output.facts,
        )
