"""Every published number beside ours: reproduced, differs, or not comparable and why."""

import pandas as pd

from segxai.data.records import read_rows
from segxai.report.tables import claims
from segxai.runtime import atomic_path, job, log

# ExplainSeg §4.1: DINO ViT-S/16 with the weights named deitsmall16, which are TokenCut's too.
EXPLAINSEG = (("vit_small_patch16_224.dino",), "DINO ViT-S/16", "DINO's")
# By the first word of a row: architectures, their name, and whose weights training starts from.
PUBLISHED = {
    # ExplainSeg does not say which of the two networks of MaskCut's code it took.
    "MaskCut": (
        ("vit_base_patch8_224.dino", "vit_small_patch8_224.dino"),
        "DINO ViT-B/8 or ViT-S/8",
        "DINO's",
    ),
    # SegX's code takes both from torchvision.
    "resnet50": (("resnet50.tv_in1k",), "torchvision's ResNet-50", "ImageNet's"),
    "densenet121": (("densenet121.tv_in1k",), "torchvision's DenseNet-121", "ImageNet's"),
}


def main(tables, networks, samples, rejected, subsets, published, verdicts):
    table = pd.concat(pd.read_csv(path) for path in tables)
    numbers = pd.read_csv(published)
    obstacles = {row: network_differs(row, network) for row, network in networks.items()}
    notes = {
        name: subset_note(
            read_rows(samples[name]), len(pd.read_csv(rejected[name])), **subsets[name]
        )
        for name in samples
    }
    result = claims(numbers, table, obstacles, notes)
    log.info("verdicts: %s", result.verdict.value_counts().to_dict())
    with atomic_path(verdicts) as path:
        result.to_csv(path, index=False, float_format="%.4f")


def network_differs(row: str, network: dict) -> str | None:
    """Why the network behind a row is not the paper's, or None."""
    architecture = network["architecture"]
    if row == "MICRA-Net":
        return "the paper's weights, trained on F-actin, are not named; these are not they"
    architectures, name, source = PUBLISHED.get(row.split()[0], EXPLAINSEG)
    if architecture not in architectures:
        return f"the network is {architecture}, not {name}"
    if not network["pretrained"] and network["weights"] is None:
        return f"the network was trained from scratch, not from {source} weights"
    return None


def subset_note(samples, n_rejected, max_images, explained_split, explained_images) -> str:
    """What part of a data set the numbers are of, where it is not all of it."""
    notes = []
    if max_images is not None:
        notes.append(f"the data set is cut to {len(samples)} images")
    if n_rejected:
        notes.append(f"{n_rejected:,} of {len(samples) + n_rejected:,} images could not be used")
    total = len(samples)
    if explained_split is not None:
        total = int((samples.split == explained_split).sum())
    if explained_images is not None and explained_images < total:
        which = f"{explained_split} images" if explained_split else "images"
        notes.append(f"a seeded subset of {explained_images} of {total} {which}")
    return "; ".join(notes)


if __name__ == "__main__":
    with job(snakemake):
        main(
            tables=snakemake.input.tables,
            networks=snakemake.params.networks,
            samples=dict(zip(snakemake.params.subsets, snakemake.input.samples, strict=True)),
            rejected=dict(zip(snakemake.params.subsets, snakemake.input.rejected, strict=True)),
            subsets=snakemake.params.subsets,
            published=snakemake.input.published,
            verdicts=snakemake.output.claims,
        )
