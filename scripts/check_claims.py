"""Verdict on every published number: reproduced, differs, or not comparable and why."""

from functools import partial
from pathlib import Path

import pandas as pd

from segxai.job.files import read_rows, write_table
from segxai.job.log import log, run
from segxai.stats.claims import claims, count_claims
from segxai.stats.tables import COLUMNS, TEXT


def main(
    tables, summary, published, counts, known_networks, max_images, selections, networks, verdicts
):
    held = read_rows(summary)
    parts = {name: part_of(counted(held, name), most) for name, most in max_images.items()}
    notes = {
        (study, name): joined(
            parts[name], *(part_explained(counted(held, name), **chosen) for chosen in selection)
        )
        for study, by_dataset in selections.items()
        for name, selection in by_dataset.items()
    }
    ours = pd.concat([pd.DataFrame(columns=COLUMNS), *map(read_rows, tables)], ignore_index=True)
    ours[TEXT] = ours[TEXT].astype(object).fillna("")
    theirs = {Path(file).stem: read_rows(file) for file in published}
    known = read_rows(known_networks).fillna("")
    obstacle = partial(network_differs, known=known, networks=networks)
    # A study may stand for itself, with no paper's numbers beside it.
    means = [
        claims(numbers.assign(paper=paper), ours, obstacle, notes)
        for paper, numbers in theirs.items()
    ]
    result = pd.concat([*means, count_claims(read_rows(counts), held, parts)], ignore_index=True)
    log.info("verdicts: %s", result.verdict.value_counts().to_dict())
    write_table(verdicts, result)


def joined(*sentences: str) -> str:
    """Join the non-empty texts."""
    return "; ".join(filter(None, sentences))


def network_differs(claim: pd.Series, known: pd.DataFrame, networks: dict) -> str:
    """Difference of our network from the paper's, for one number; empty if they agree."""
    # Rows with the claim's network or segmenter come after the general row of the paper.
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


def counted(summary, dataset) -> pd.DataFrame:
    """Counts of a data set, by row and metric."""
    return summary[summary.dataset == dataset].set_index(["row", "metric"])


def part_of(counts, max_images) -> str:
    """Part of a data set that was used; empty for the whole."""
    held = part_held(counts) if max_images is None else ""
    used = counts.value["total", "images"]
    cut = f"the data set is cut to {used:.0f} images" if max_images is not None else ""
    rejected = counts.value["total", "rejected files"]
    files = "file is" if rejected == 1 else "files are"
    return joined(held, cut, f"{rejected:,.0f} {files} rejected" if rejected else "")


def part_held(counts) -> str:
    """Part of a data set that its folder holds, if its makers count more images."""
    held, makers = counts.value["total", "images found"], counts.official["total", "images"]
    # The makers' count may be unknown: NaN.
    if not held < makers:
        return ""
    return f"the copy holds {held:,.0f} of the {makers:,.0f} images of the data set"


def part_explained(counts, split, images, **_) -> str:
    """Part of the images that the scores cover; empty for all."""
    total = counts.value[split or "total", "images"]
    if images is None or images >= total:
        return ""
    which = f"{split} images" if split else "images"
    return f"a seeded subset of {images} of {total:.0f} {which}"


if __name__ == "__main__":
    run(main, snakemake)
