"""Example images or targets of a data set, with their maps, masks and scores."""

import numpy as np
import pandas as pd

from segxai.explain.maps import read_maps
from segxai.figures.examples import (
    SEGMENTATION_MASK,
    Examples,
    choose,
    choose_predictions,
    rank,
    score_key,
    write_examples,
)
from segxai.images.arrays import read_array
from segxai.images.display import display_image
from segxai.images.masks import read_masks
from segxai.job.files import read_rows, read_scores
from segxai.job.log import log, run
from segxai.segmenters.writing import mask_key
from segxai.workflow.plugins import load
from segxai.workflow.studies import MEASURE


def main(
    samples, images, truth, outlines, targets, maps, map_rows, map_paths, masks, mask_rows,
    mask_paths, scores, study, dataset, of, spec, headline, view, display, arrays, table,
):  # fmt: skip
    known, unit = read_rows(samples), "image_id" if of == "masks" else "target_id"
    explained = pd.concat(map(read_rows, targets)).drop_duplicates("target_id")
    values = wide(read_scores(scores), unit)
    if of == "masks":
        ranks = choose_images(values, spec, headline)
    else:
        # A study of maps has one segmentation, or none.
        mask_paths = [SEGMENTATION_MASK for _ in mask_paths]
        ranks = choose_targets(values, spec, first_paths(map_paths), explained)
    chosen = describe(ranks, unit, explained, known)
    log.info("%d %s chosen", len(chosen), "images" if of == "masks" else "predictions")
    files = zip(map_paths, maps, map_rows, strict=True)
    attributions = {path: read_maps(*pair) for path, *pair in files}
    drawn = zip(mask_paths, masks, mask_rows, strict=True)
    true, pictures = read_masks(truth, outlines, known), read_array(images)
    side = pictures.shape[1:3]
    outlined = [true.of(row, k) for row, k in zip(chosen.row, chosen.channel, strict=True)]
    facts = chosen.drop(columns=["row", "channel"]).assign(
        study=study, dataset=dataset, completeness_error=completeness(chosen, attributions)
    )
    keyed = values.reindex(ranks.index).reset_index(drop=True)
    keyed.columns = [":".join(column) for column in keyed.columns]
    examples = Examples(
        table=facts.join(keyed),
        images=stack([display_image(pictures[row], display) for row in chosen.row], (*side, 3)),
        truth=stack([np.zeros(side) if mask is None else mask for mask in outlined], side),
        maps={path: viewed(chosen, stored, view, side) for path, stored in attributions.items()},
        masks={path: masks_of(chosen, *pair, side) for path, *pair in drawn},
    )
    write_examples(examples, arrays, table)


def wide(scores, unit):
    """Scores of each image or target: a column for each score and path of a method."""
    keys = ["network", "explainer"] + (["segmenter"] if unit == "image_id" else [])
    scores = scores.assign(
        score=[score_key(value) for value in scores[MEASURE].to_dict("records")],
        path=["/".join(filter(None, row)) for row in scores[keys].itertuples(index=False)],
    )
    # Two families may have the same score.
    scores = scores.drop_duplicates([unit, "score", "path"])
    order = scores[unit].unique()
    return scores.pivot(index=unit, columns=["score", "path"], values="value").reindex(order)


def first_paths(map_paths):
    """The first explainer of each network: all explain the same predictions."""
    by_network = {path.partition("/")[0]: path for path in reversed(map_paths)}
    return list(reversed(by_network.values()))


def column(values, spec, path):
    """One score of one method; undefined without predictions."""
    return values.get((score_key(spec), path), pd.Series(np.nan, values.index))


def choose_images(values, spec, headline):
    """Ranks of the worst, the middle and the best images by the headline method's score."""
    score = column(values, spec["rank"], headline).to_numpy()
    places = choose(score, spec["count"])
    return pd.Series(rank(score)[places], index=values.index[places], name="rank")


def choose_targets(values, spec, paths, explained):
    """Ranks of confident errors and of the worst, the middle and the best refined maps."""
    correct, choices = explained.set_index("target_id").correct == 1, []
    for place, path in enumerate(paths):
        # It selects the errors that a reader would trust most.
        confidence = column(values, spec["confidence"], path).dropna()
        predicted = confidence.index
        places, ranks = choose_predictions(
            column(values, spec["rank"], path)[predicted].to_numpy(),
            correct[predicted].to_numpy(),
            confidence.to_numpy(),
            spec["count"] // len(paths),
        )
        # The figures are of the first network.
        ranks = ranks if place == 0 else np.full(len(places), "", dtype=object)
        choices.append(pd.Series(ranks, index=predicted[places], name="rank"))
    choice = pd.concat(choices)
    return choice[~choice.index.duplicated()]


def describe(choice, unit, explained, known):
    """Row, channel and facts of each chosen image or target."""
    targets = explained.drop_duplicates(unit).set_index(unit, drop=False).reindex(choice.index)
    images = targets.image_id if unit == "target_id" else choice.index
    rows = pd.Index(known.image_id).get_indexer(images)
    return pd.DataFrame(
        {
            "image_id": known.image_id.to_numpy()[rows],
            "target_id": targets.target_id.fillna("").to_numpy(),
            "split": known.split.to_numpy()[rows],
            "label": known.label.to_numpy()[rows],
            "target": targets.label.fillna("").to_numpy(),
            "correct": targets.correct.to_numpy(),
            "rank": choice.to_numpy(),
            "row": rows,
            "channel": targets.channel.fillna(0).astype(int).to_numpy(),
        }
    )


def completeness(chosen, attributions):
    """Completeness error of each chosen target by the first method that explains it."""
    tables = [stored.table for stored in attributions.values()]
    if not tables:
        return np.nan
    first = pd.concat(tables).drop_duplicates("target_id").set_index("target_id")
    return first.completeness_error.reindex(chosen.target_id).to_numpy()


def viewed(chosen, stored, definition, side):
    """View of each chosen target's attribution, 0…255; zero where it has none."""
    view, settings = load("views", definition)
    places = pd.Index(stored.table.target_id).get_indexer(chosen.target_id)
    return stack(
        [
            np.zeros(side) if place < 0 else 255 * view.view(stored[place], side, **settings)
            for place in places
        ],
        side,
    )


def masks_of(chosen, npy, rows, side):
    """One segmenter's mask of each chosen target or image; empty where it has none."""
    masks, rows = read_array(npy), read_rows(rows)
    unit = mask_key(rows)
    places = pd.Index(rows[unit]).get_indexer(chosen[unit])
    of_image = [np.zeros(side) if place < 0 else masks[place] for place in places]
    per_class = masks.ndim == 4
    pairs = zip(of_image, chosen.channel, strict=True)
    return stack([mask[k] if per_class and mask.ndim == 3 else mask for mask, k in pairs], side)


def stack(arrays, shape):
    """One array of whole numbers; an empty one where there are none."""
    return np.rint(np.array(arrays)).astype(np.uint8).reshape(len(arrays), *shape)


if __name__ == "__main__":
    run(main, snakemake)
