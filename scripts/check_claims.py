"""Every published number beside ours: reproduced, differs, or not comparable and why."""

import pandas as pd

from segxai.data.records import read_rows
from segxai.report.tables import claims
from segxai.runtime import atomic_path, job, log

# ExplainSeg §4.1: DINO ViT-S/16 with the weights named deitsmall16, which are TokenCut's too.
PUBLISHED_BODY = ("vit_small_patch16_224.dino",)
# ExplainSeg does not say which of the two networks of MaskCut's code it took.
MASKCUT_BODIES = ("vit_base_patch8_224.dino", "vit_small_patch8_224.dino")


def main(tables, networks, samples, published, verdicts):
    table = pd.concat(pd.read_csv(path) for path in tables)
    numbers = pd.read_csv(published)
    obstacles = {row: network_differs(row, network) for row, network in networks.items()}
    notes = {}
    for dataset, path in samples.items():
        total, shown = len(read_rows(path)), table[table.dataset == dataset].n.max()
        if shown < total:
            notes[dataset] = f"a seeded subset of {shown} of {total} images"
    result = claims(numbers, table, obstacles, notes)
    log.info("verdicts: %s", result.verdict.value_counts().to_dict())
    with atomic_path(verdicts) as path:
        result.to_csv(path, index=False, float_format="%.4f")


def network_differs(row: str, network: dict) -> str | None:
    """Why the network behind a row is not the paper's, or None."""
    architecture = network["architecture"]
    if row == "MICRA-Net":
        return "the paper's weights, trained on F-actin, are not named; these are not they"
    if architecture not in (MASKCUT_BODIES if row == "MaskCut" else PUBLISHED_BODY):
        body = "ViT-B/8 or ViT-S/8" if row == "MaskCut" else "ViT-S/16"
        return f"the network is {architecture}, not DINO {body}"
    if not network["pretrained"] and network["weights"] is None:
        return "the network was trained from scratch, not from DINO's weights"
    return None


if __name__ == "__main__":
    with job(snakemake):
        main(
            tables=snakemake.input.tables,
            networks=snakemake.params.networks,
            samples=dict(zip(snakemake.params.datasets, snakemake.input.samples, strict=True)),
            published=snakemake.input.published,
            verdicts=snakemake.output.claims,
        )
