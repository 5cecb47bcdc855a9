"""Every published number beside ours: reproduced, differs, or not comparable and why."""

from functools import partial
from pathlib import Path

import pandas as pd

from segxai.job.files import read_rows, write_table
from segxai.job.log import log, run
from segxai.stats.claims import claims, count_claims
from segxai.stats.tables import COLUMNS, TEXT


def main(
    tables, summary, published, counts, known_networks, samples, rejected, max_images, selections,
    networks, verdicts,
):  # fmt: skip
    held = read_rows(summary)
    images = dict(zip(max_images, map(read_rows, samples), strict=True))
    lost = dict(zip(max_images, map(read_rows, rejected), strict=True))
    parts = {
        name: part_of(images[name], lost[name], held[held.dataset == name], most)
        for name, most in max_images.items()
    }
    notes = {
        (study, name): joined(parts[name], *(part_explained(images[name], **one) for one in some))
        for study, chosen in selections.items()
        for name, some in chosen.items()
    }
    ours = pd.concat([pd.DataFrame(columns=COLUMNS), *map(read_rows, tables)], ignore_index=True)
    ours[TEXT] = ours[TEXT].astype(object).fillna("")
    theirs = pd.concat({Path(file).stem: read_rows(file) for file in published}, names=["paper"])
    known = read_rows(known_networks).fillna("")
    obstacle = partial(network_differs, known=known, networks=networks)
    means = claims(theirs.reset_index("paper").reset_index(drop=True), ours, obstacle, notes)
    result = pd.concat([means, count_claims(read_rows(counts), held, parts)], ignore_index=True)
    log.info("verdicts: %s", result.verdict.value_counts().to_dict())
    write_table(verdicts, result)


def joined(*sentences: str) -> str:
    """Join what there is to say."""
    return "; ".join(filter(None, sentences))


def network_differs(claim: pd.Series, known: pd.DataFrame, networks: dict) -> str:
    """Why the network behind a number of ours is not the paper's, or nothing."""
    # Rows that name the network or the segmenter of the claim come after the paper's general one.
    fits = known.paper == claim.paper
    for key in ("network", "segmenter"):
        fits &= (known[key] == "") | (known[key] == claim[key])
    if not fits.any():
        return ""
    theirs, ours = known[fits].iloc[-1], networks[claim.our_network]
    if theirs.obstacle:
        return theirs.obstacle
    architecture = ours.get("architecture", ours["method"])
    if architecture not in theirs.architectures.split():
        return f"the network is {architecture}, not {theirs.title}"
    if not ours["pretrained"] and ours["weights"] is None:
        return f"the network was trained from scratch, not from {theirs.weights} weights"
    return ""


def part_of(samples, rejected, counts, max_images) -> str:
    """What part of a data set was used, where it is not all of it."""
    held = part_held(counts) if max_images is None else ""
    cut = f"the data set is cut to {len(samples)} images" if max_images is not None else ""
    files = "file is" if len(rejected) == 1 else "files are"
    return joined(held, cut, f"{len(rejected):,} {files} rejected" if len(rejected) else "")


def part_held(counts) -> str:
    """What part of a data set its folder holds, where its makers count more images."""
    total = counts[counts.row == "total"].set_index("metric")
    if "images found" not in total.index:
        return ""
    held, makers = total.value["images found"], total.official["images"]
    # Not where the makers' count is unknown: NaN.
    if not held < makers:
        return ""
    return f"the copy holds {held:,.0f} of the {makers:,.0f} images of the data set"


def part_explained(samples, split, images, **_) -> str:
    """What part of the images the scores are of, where it is not all that they could be of."""
    total = len(samples) if split is None else int((samples.split == split).sum())
    if images is None or images >= total:
        return ""
    which = f"{split} images" if split else "images"
    return f"a seeded subset of {images} of {total} {which}"


if __name__ == "__main__":
    run(main, snakemake)
