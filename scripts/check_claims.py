"""Every published number beside ours: reproduced, differs, or not comparable and why."""

import pandas as pd

from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.stats.tables import claims

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
    # Of counts, only some stand in a table of a paper: without a type, its number would be a float.
    table = pd.concat(pd.read_csv(path, dtype={"table": str}) for path in tables)
    numbers = pd.read_csv(published)
    obstacles = {row: network_differs(row, network) for row, network in networks.items()}
    parts, notes = {}, {}
    for name, subset in subsets.items():
        used = read_rows(samples[name])
        held = part_held(table[table.dataset == name]) if subset["max_images"] is None else ""
        used_part = part_used(len(used), len(read_rows(rejected[name])), subset["max_images"])
        parts[name] = "; ".join(filter(None, [held, used_part]))
        explained = part_explained(used, subset["explained_split"], subset["explained_images"])
        notes[name] = "; ".join(filter(None, [parts[name], explained]))
    result = claims(numbers, table, obstacles, notes, parts)
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


def part_used(n: int, n_rejected: int, max_images: int | None) -> str:
    """What part of a data set was used, where it is not all of it."""
    cut = f"the data set is cut to {n} images" if max_images is not None else ""
    files = "file is" if n_rejected == 1 else "files are"
    lost = f"{n_rejected:,} {files} rejected" if n_rejected else ""
    return "; ".join(filter(None, [cut, lost]))


def part_held(counts) -> str:
    """What part of a data set its folder holds, where its makers count more images."""
    total = counts[counts.row == "total"].set_index("metric")
    if "images found" not in total.index:
        return ""
    found, makers = total.value["images found"], total.official["images"]
    # Not where the makers' count is unknown: NaN.
    if not found < makers:
        return ""
    return f"the copy holds {found:,.0f} of the {makers:,.0f} images of the data set"


def part_explained(samples, explained_split, explained_images) -> str:
    """What part of the images the scores are of, where it is not all that they could be of."""
    total = len(samples)
    if explained_split is not None:
        total = int((samples.split == explained_split).sum())
    if explained_images is None or explained_images >= total:
        return ""
    which = f"{explained_split} images" if explained_split else "images"
    return f"a seeded subset of {explained_images} of {total} {which}"


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
