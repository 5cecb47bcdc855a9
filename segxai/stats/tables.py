"""Tidy tables of a study: means and areas of scores with intervals, and published numbers."""

from collections.abc import Iterator
from itertools import chain

import pandas as pd

from segxai.job.log import InputError
from segxai.stats.cells import COMPARED, cell, column, image_means, level, observations
from segxai.stats.ranks import gains, rank_rows
from segxai.stats.recognition import recognise
from segxai.workflow.shown import CELL, describe
from segxai.workflow.studies import MEASURE, TOGETHER, made_of, values

KEYS = ["dataset", "network", "explainer", "segmenter"]
COUNTS = ["n", "n_undefined", "n_constant"]
NUMBERS = ["value", "ci_low", "ci_high", *COUNTS, "published", "difference"]
TEXT = ["study", "table", *KEYS, "split", *CELL, "unit"]
COLUMNS = [*TEXT, *NUMBERS]
# Keys in which a published number must equal ours, and keys that it may leave open.
EXACT, OPEN = ["table", "dataset", "split", *CELL], KEYS[1:]
# Columns that describe the damage of a segmentation.
DOSE = ["kind", "radius"]

Rows = list[tuple[dict[str, str], pd.DataFrame]]


def table_rows(scores: pd.DataFrame, images: dict[str, set], spec: dict) -> Rows:
    """Gather the observations of each row of a table.

    Rows of segmenters alone score one mask per image: seeds are averaged first. Any other row pools
    the predictions of all seeds.

    Parameters
    ----------
    scores
        See :func:`segxai.job.files.read_scores`.
    images
        The image_ids of the study, by data set.
    spec
        The declared table: its name (``table``), its ``datasets``, ``rows`` (the `KEYS` that
        distinguish rows, besides the data set), ``values``, and its ``segmenters``, in order.

    Returns
    -------
    list of (dict, DataFrame)
        `KEYS` of a row and its observations (:func:`segxai.stats.cells.observations`), by data set,
        then in the order of the score files and of the declared segmenters.
    """
    _check_measured(scores, spec)
    segmenters = ["", *spec["segmenters"]]
    rows = []
    for keys, of_row in _split(scores[scores.segmenter.isin(segmenters)], spec["rows"]):
        keys |= {key: _only(of_row, key, spec) for key in OPEN if key not in keys}
        frame = observations(of_row[of_row.image_id.isin(images[keys["dataset"]])])
        rows.append((keys, image_means(frame) if spec["rows"] == ["segmenter"] else frame))

    orders = {key: list(dict.fromkeys(scores[key])) for key in OPEN} | {
        "dataset": spec["datasets"],
        "segmenter": segmenters,
    }

    def place(row: tuple[dict, pd.DataFrame]) -> list[int]:
        return [orders[key].index(row[0][key]) for key in ["dataset", *spec["rows"]]]

    return sorted(rows, key=place)


def with_compared(rows: Rows, spec: dict) -> Rows:
    """Add the ranks and gains that a table asks for, beside the scores that are compared.

    Methods are compared within each data set and within equal values of all keys of ``rows`` but
    the last, target by target: by explainer, for instance, within a network. ``directions`` of
    `spec` says which scores are better, ``controls`` over which explainers methods gain.
    """
    asked = [value for value in values(spec) if value.get("statistic") in COMPARED]
    for own in alike(rows, spec) if asked else []:
        controls = [n for n, (keys, _) in enumerate(own) if keys["explainer"] in spec["controls"]]
        for value in asked:
            scores = [pd.Series(column(frame, value), frame.index) for _, frame in own]
            scores = pd.concat(scores, axis=1, keys=range(len(own)))
            statistic, direction = value["statistic"], spec["directions"][value["metric"]]
            if statistic == "gain":
                compared = gains(scores, controls, direction)
            else:
                compared = rank_rows(scores, direction)
            key = tuple(value.get(name, "") for name in MEASURE)
            for place, (_, frame) in enumerate(own):
                frame[COMPARED[statistic] + key[0], *key[1:]] = compared[place]
    return rows


def alike(rows: Rows, spec: dict) -> list[Rows]:
    """Rows that differ in nothing but the last key of the table's ``rows``, together."""
    together: dict[tuple, Rows] = {}
    for row in rows:
        key = tuple(row[0][name] for name in ["dataset", *spec["rows"][:-1]])
        together.setdefault(key, []).append(row)
    return [*together.values()]


def summarise(rows: Rows, spec: dict, statistics: dict) -> pd.DataFrame:
    """Take every declared value of every row, for each declared subset of the images.

    Those of all methods together are left to :func:`segxai.stats.agreement.agreements`.

    Parameters
    ----------
    rows, spec
        See :func:`table_rows`; of several ``splits``, only those that the data set has.
    statistics
        resamples, confidence and seed of the intervals.

    Returns
    -------
    DataFrame
        `COLUMNS` without those of published numbers; percent are hundredths.
    """
    unit = spec["unit"]
    cells = [
        keys | {"split": split, "unit": unit} | describe(value) | cell(part, value, statistics)
        for keys, frame in rows
        for split, part in of_splits(frame, spec["splits"])
        for value in values(spec)
        if value.get("statistic") not in TOGETHER
    ]
    table = pd.DataFrame(cells, columns=[*KEYS, "split", *CELL, "unit", *NUMBERS[:-2]])
    if unit == "percent":
        table[NUMBERS[:3]] *= 100
    return table


def summarise_predictions(
    predictions: dict[str, pd.DataFrame], groups: dict[str, pd.Series], spec: dict, statistics: dict
) -> pd.DataFrame:
    """Recognition scores of each network: a row per data set and network.

    Parameters: see :func:`summarise` and :func:`segxai.stats.recognition.recognise`, with the
    groups of each data set; ``predictions`` of `spec` names the values. There is a table of
    predictions for each beginning of these names: "" of images, ``patch_`` of labelled windows.
    """
    cells, keys = [], ["dataset", "network"]
    parts = {kind: dict(list(of.groupby(keys, sort=False))) for kind, of in predictions.items()}
    for dataset, network in dict.fromkeys(chain(*parts.values())):
        for split in spec["splits"]:
            known = {}
            for kind, tables in parts.items():
                table = tables.get((dataset, network), predictions[kind].iloc[:0])
                chosen = table if split == "all" else table[table.split == split]
                scores = recognise(chosen, groups[dataset], statistics) if len(chosen) else {}
                known |= {kind + name: score for name, score in scores.items()}
            about = dict.fromkeys(KEYS, "")
            about |= {"dataset": dataset, "network": network, "split": split}
            cells += [
                about | describe({"metric": name}) | known[name]
                for name in spec["predictions"]
                if name in known
            ]
    return pd.DataFrame(cells, columns=[*KEYS, "split", *CELL, "unit", *NUMBERS[:-2]])


def of_splits(frame: pd.DataFrame, splits: list[str]) -> Iterator[tuple[str, pd.DataFrame]]:
    """Observations of each subset; empty ones are left out if there are several."""
    present = {"all", *level(frame, "split")}
    for split in [name for name in splits if name in present] or splits[:1]:
        yield split, frame if split == "all" else frame[level(frame, "split") == split]


def beside_published(table: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Add the published values and the differences from them, in the table's order."""
    pairs = pair(published, table).dropna(subset="place").set_index("place")
    return table.assign(
        published=pairs.published.reindex(table.index),
        difference=lambda both: both.value - both.published,
    )


def pair(published: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Match each published number with a row of ours.

    Published numbers have `EXACT`, value and some of `OPEN`; open keys match any of ours. Returns
    their rows, the value as ``published``; and ``place``, the index of our row, or NaN.
    """
    keys = [*EXACT, *OPEN]
    columns = list(dict.fromkeys([*published, *keys, "value"]))
    theirs = published.reindex(columns=columns, fill_value="")
    theirs[keys] = theirs[keys].fillna("")
    theirs = theirs.rename(columns={"value": "published"}).reset_index(names="claim")
    ours = table[keys].reset_index(names="place")
    both = theirs.merge(ours, on=EXACT, suffixes=("", "_ours"))
    for key in OPEN:
        both = both[(both[key] == "") | (both[key] == both[f"{key}_ours"])]
    return theirs.merge(both[["claim", "place"]], how="left", on="claim").drop(columns="claim")


def with_doses(table: pd.DataFrame, segmenters: dict[str, dict]) -> pd.DataFrame:
    """Add the damage of the segmentation of each row, if any: `DOSE`."""
    doses = {
        name: definition for name, definition in segmenters.items() if definition["role"] == "dose"
    }
    if not table.segmenter.isin(list(doses)).any():
        return table
    settings = {key: table.segmenter.map({n: d[key] for n, d in doses.items()}) for key in DOSE}
    return table.assign(**settings)


def _split(scores: pd.DataFrame, names: list[str]) -> Iterator[tuple[dict, pd.DataFrame]]:
    """Scores of each row; a score that does not depend on a key belongs to all rows of that key."""
    keys = ["dataset", *names]
    parts = dict(list(scores.groupby(keys, sort=False)))
    for row in parts:
        if all(row):
            own = [
                part
                for other, part in parts.items()
                if all(b in ("", a) for a, b in zip(row, other, strict=True))
            ]
            yield dict(zip(keys, row, strict=True)), pd.concat(own)


def _only(scores: pd.DataFrame, key: str, spec: dict) -> str:
    """The one network, explainer or segmenter of a row."""
    names = [name for name in scores[key].unique() if name]
    if len(names) > 1:
        raise InputError(
            f"configuration: table {spec['table']} has rows with several {key}s "
            f"({', '.join(names)}); add {key} to its `rows`."
        )
    return names[0] if names else ""


def _check_measured(scores: pd.DataFrame, spec: dict) -> None:
    """Refuse a value that no score file holds, unless there are no scores at all."""
    measured = scores[scores.metric != ""][MEASURE].drop_duplicates()
    known = set(measured.itertuples(index=False, name=None))
    for value in values(spec):
        for measure in made_of(value):
            key = tuple(measure.get(name, "") for name in MEASURE)
            if known and key not in known:
                raise InputError(
                    f"configuration: table {spec['table']} needs {' '.join(filter(None, key))}, "
                    f"which {', '.join(spec['scores'])} do not measure; add it to their `measure`."
                )
