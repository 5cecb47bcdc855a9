"""How much of an explanation lies on a planted shortcut, before and after SegX: a row per map."""

import numpy as np
import pandas as pd

from segxai.datasets.samples import explained_labels, explained_rows, sharded
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import job, log
from segxai.segmenters.scope import mask_of
from segxai.views.segx import segx, share_on, top_fraction

KNOWN = ["image_id", "group", "target", "present"]
SHARES = ["marker_relevance", "marker_relevance_segx", "marker_top", "marker_top_segx"]
SHARED = ["iou_original", "c_iou", "c_auitc", "maximum_probability"]


def main(samples, markers, scores, maps, facts, masks, classes, selection, shortcut, output):
    table = read_rows(samples)
    chosen = explained_rows(table, **selection)
    explained = explained_labels(table, chosen, pd.concat(map(read_rows, facts)), classes)
    relevance, segmentations = sharded(explained.index, maps), sharded(chosen, masks)
    lead = read_array(markers)
    rows = []
    for n, one in enumerate(explained.itertuples()):
        if one.target == shortcut:
            mask = mask_of(segmentations[one.place], one.label)
            rows.append(
                {"row": n} | on_marker(relevance[n].astype(np.float64), mask, lead[one.row])
            )
    found = pd.DataFrame(rows, columns=["row", "marked", "marker_area", *SHARES]).set_index("row")
    # The rows of the scores are those of the maps.
    result = pd.concat(
        [explained.loc[found.index, KNOWN], found, read_rows(scores).loc[found.index, SHARED]],
        axis=1,
    )
    marked = result[result.marked == 1]
    log.info(
        "%d of %d maps of %s are of marked images: %.1f %% of their relevance on the marker",
        *(len(marked), len(result), shortcut, 100 * marked.marker_relevance.mean()),
    )
    with atomic_path(output) as path:
        result.to_csv(path, index=False, float_format="%.6g")


def on_marker(saliency, segmentation, marker) -> dict[str, float]:
    """Shares of the relevance and of its top 5 % on the marker; NaN where there is none."""
    if not marker.any():
        return {"marked": 0, "marker_area": 0.0} | dict.fromkeys(SHARES, np.nan)
    refined = segx(saliency, segmentation)
    shown = saliency, refined, top_fraction(saliency), top_fraction(refined)
    shares = {name: share_on(one, marker) for name, one in zip(SHARES, shown, strict=True)}
    return {"marked": 1, "marker_area": marker.mean()} | shares


if __name__ == "__main__":
    with job(snakemake):
        main(
            samples=snakemake.input.samples,
            markers=snakemake.input.markers,
            scores=snakemake.input.scores,
            maps=snakemake.input.maps,
            facts=snakemake.input.facts,
            masks=snakemake.input.masks,
            classes=snakemake.params.classes,
            selection=snakemake.params.selection,
            shortcut=snakemake.params.shortcut,
            output=snakemake.output.scores,
        )
