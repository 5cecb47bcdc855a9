"""Check whether reduced precision keeps the attributions of the first targets."""

from dataclasses import replace
from math import nan

from segxai.explain.job import bound_explainer, target_requests
from segxai.explain.precision import CHECKED, EXACT, Agreement, agreement
from segxai.images.arrays import read_array
from segxai.job.device import torch_device, usable_precision
from segxai.job.files import read_rows, write_json
from segxai.job.log import log, run
from segxai.networks.network import Network


def main(
    samples, images, statistics, weights, card, targets, network, explainer, channels, seed,
    threads, precision,
):  # fmt: skip
    device = torch_device(threads)
    table, pixels = read_rows(samples), read_array(images)
    # Of each image the first target.
    checked = read_rows(targets).drop_duplicates("image_id").head(CHECKED)
    loaded = Network.load(weights, card, statistics, network, len(channels), device)
    explain, side = bound_explainer(explainer, loaded, pixels, table, seed)

    def attributions(arithmetic):
        module = replace(loaded, precision=arithmetic)
        return list(explain(module, target_requests(module, pixels, checked, seed, side)))

    asked = explainer["precision"]
    possible = usable_precision(asked, device)
    result = Agreement(0, nan, nan)
    if possible != EXACT:
        result = agreement(attributions(EXACT), attributions(possible))
        log.info(
            "against float32: lowest Spearman correlation %.4f, completeness error larger by %.4f",
            result.spearman,
            result.completeness_loss,
        )
    used = possible if result.kept else EXACT
    log.info("asked for %s, checked on %d images: %s is used", asked, result.images, used)
    write_json(precision, {"asked": asked, "used": used, **result.facts()})


if __name__ == "__main__":
    run(main, snakemake)
