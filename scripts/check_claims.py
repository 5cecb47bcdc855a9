"""Every published number beside ours: reproduced, differs, or not comparable and why."""

import json
from pathlib import Path

import pandas as pd

from segxai.data.records import read_rows
from segxai.report.tables import claims
from segxai.runtime import atomic_path, job, log

# ExplainSeg §4.1: DINO ViT-S/16 with the weights named deitsmall16.
PUBLISHED_BODY = "vit_small_patch16_224.dino"


def main(tables, cards, samples, published, verdicts):
    table = pd.concat(pd.read_csv(path) for path in tables)
    numbers = pd.read_csv(published)
    obstacles, notes = {}, {}
    for dataset, card in cards.items():
        reason = body_differs(json.loads(Path(card).read_text()))
        if reason:
            obstacles[dataset] = reason
        total, shown = len(read_rows(samples[dataset])), table[table.dataset == dataset].n.max()
        if shown < total:
            notes[dataset] = f"a seeded subset of {shown} of {total} images"
    result = claims(numbers, table, obstacles, notes)
    log.info("verdicts: %s", result.verdict.value_counts().to_dict())
    with atomic_path(verdicts) as path:
        result.to_csv(path, index=False, float_format="%.4f")


def body_differs(card: dict) -> str | None:
    """Why a classifier is not the paper's, or None."""
    if card["architecture"] != PUBLISHED_BODY:
        return f"the classifier is {card['architecture']}, not DINO ViT-S/16"
    if not card["pretrained"] and card["weights"] is None:
        return "the classifier was trained from scratch, not from DINO's weights"
    return None


if __name__ == "__main__":
    with job(snakemake):
        main(
            tables=snakemake.input.tables,
            cards=dict(zip(snakemake.params.datasets, snakemake.input.cards, strict=True)),
            samples=dict(zip(snakemake.params.datasets, snakemake.input.samples, strict=True)),
            published=snakemake.input.published,
            verdicts=snakemake.output.claims,
        )
