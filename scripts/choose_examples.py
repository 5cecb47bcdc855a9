"""The images of a data set that a reader is shown, with everything that was made of them."""

import numpy as np
import pandas as pd

from segxai.datasets.samples import sharded
from segxai.figures.examples import Examples, choose, rank, write_examples
from segxai.images.arrays import read_array
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import job, log
from segxai.views.grey import smooth

# A third of them are the worst, a third the middle and a third the best.
COUNT = 60


def main(
    samples,
    images,
    truth,
    maps,
    facts,
    masks,
    scores,
    settings,
    segmenters,
    headline,
    arrays,
    table,
):
    overlap = {
        segmenter: read_rows(path) for segmenter, path in zip(segmenters, scores, strict=True)
    }
    ours = overlap[headline]
    # Without a true mask Dice is zero or undefined, whatever was drawn.
    dice = ours.dice.where(ours.truth_fraction > 0).to_numpy()
    places = choose(dice, COUNT)
    log.info("%d of %d images chosen by Dice of %s", len(places), len(dice), headline)
    explained = pd.concat(map(read_rows, facts)).set_index("image_id")
    chosen = ours.loc[places, ["image_id", "split", "label"]]
    chosen = chosen.join(explained[["target", "completeness_error"]], on="image_id").assign(
        rank=rank(dice)[places],
        **{f"dice:{name}": one.dice[places] for name, one in overlap.items()},
        **{f"iou:{name}": one.iou[places] for name, one in overlap.items()},
    )
    smoothing = read_facts(settings)["smoothing"]
    relevance = sharded(ours.index, maps)[places]
    rows = pd.Index(read_rows(samples).image_id).get_indexer(chosen.image_id)
    examples = Examples(
        table=chosen.reset_index(drop=True),
        images=read_array(images)[rows],
        truth=read_array(truth)[rows],
        maps={"relevance": np.stack([np.rint(255 * smooth(m, **smoothing)) for m in relevance])},
        masks={
            name: sharded(ours.index, files)[places]
            for name, files in zip(segmenters, masks, strict=True)
        },
    )
    with atomic_path(arrays) as arrays_path, atomic_path(table) as table_path:
        write_examples(examples, arrays_path, table_path)


if __name__ == "__main__":
    with job(snakemake):
        chosen = snakemake.params.segmenters
        main(
            samples=snakemake.input.samples,
            images=snakemake.input.images,
            truth=snakemake.input.truth,
            maps=snakemake.input.maps,
            facts=snakemake.input.facts,
            masks=np.reshape(snakemake.input.masks, (len(chosen), -1)),
            scores=snakemake.input.scores,
            settings=snakemake.input.settings,
            segmenters=chosen,
            headline=snakemake.params.headline,
            arrays=snakemake.output.arrays,
            table=snakemake.output.table,
        )
