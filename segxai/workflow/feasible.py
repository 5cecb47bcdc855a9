"""Sentences about a valid configuration that cannot be computed, all before the first job.

They cover selections without an image, scores of references that a data set lacks, and values that
no score file holds.
"""

from collections.abc import Iterator
from itertools import chain

from segxai.workflow import studies
from segxai.workflow.plugins import about
from segxai.workflow.shown import OF_EXAMPLES, OF_TABLES, PICTURED, controls, of_metrics

# References that only data sets with `needs` have.
NEEDS = {"instances": "instances", "marker": "shortcut"}
# References of masks and maps.
REFERENCES = {
    "masks": ("truth", "instances"),
    "maps": ("truth", "findings", "segmentation", "marker"),
}
# Scores of sizes by which tables choose among images.
SIZES = {
    "marked": ("reference_fraction", "", "marker"),
    "unmarked": ("reference_fraction", "", "marker"),
}
# Keys without a meaning beside a statistic of ranks.
UNREAD = {
    "rank": ("with", "minus", "against"),
    "agreement": ("where", "with", "minus", "against"),
    "concordance": (*studies.MEASURE, "where", "with", "minus", "against"),
}
# Keys of each kind of figure that has any.
DRAWN_FROM = OF_TABLES | {
    "distributions": ("tables", "metric"),
    "risk_coverage": ("scores",),
    "front": (*OF_TABLES["front"], "metric"),
}


def problems(config: dict) -> Iterator[str]:
    """Sentences about a resolved configuration whose names are all defined."""
    chosen = studies.selected(config)
    if not studies.datasets(config):
        yield f"Config key studies.{next(iter(chosen))}.datasets is empty: name a data set."
    checks = (_selection_problems, _segmenter_problems, _score_problems, _figure_problems)
    for name, study in chosen.items():
        path = f"Config key studies.{name}"
        yield from chain.from_iterable(check(config, study, path) for check in checks)
    for table, spec in studies.tables(config).items():
        path = f"Config key studies.{spec['study']}.tables.{table}"
        yield from _table_problems(config, table, spec, path)
    for name, spec in studies.guidelines(config).items():
        path = f"Config key studies.{spec['study']}.guidelines.{name}"
        measured = studies.measured(config, config["studies"][spec["study"]], spec["scores"])
        read = [{"metric": metric} for metric in ("gradients", "forwards", "completeness")]
        for value in [*spec["goals"].values(), *read]:
            yield from _unmeasured(value, measured, path, spec["scores"])


def _selection_problems(config: dict, study: dict, path: str) -> Iterator[str]:
    """Sentences about unsuitable explainers, and empty selections of images to explain or tune."""
    for explainer in study["explainers"]:
        networks = study["networks"]
        if networks and not any(studies.suits(config, name, explainer) for name in networks):
            kinds = about("explainers", config["explainers"][explainer]["method"])["suits"]
            yield (
                f"{path}.explainers got '{explainer}', which suits {' and '.join(kinds)} networks, "
                f"but the study has {', '.join(networks)}: name such a network, or remove it."
            )
    tuned = studies.tuned(config, study)
    for dataset in study["datasets"]:
        split = config["datasets"][dataset]["split"]
        if study["split"] == "test" and not has_test_images(split):
            yield (
                f"{path}.split got \"test\", but data set '{dataset}' has no test images: give it "
                f"some by datasets.{dataset}.split.test, or set split: null in the study."
            )
        for network in study["networks"]:
            sides = {chosen["split"] for chosen in studies.selections(config, dataset, network)}
            if tuned and not sides & {None, "validation"}:
                yield (
                    f"{path}.split got \"{study['split']}\", but segmenter '{tuned[0]}' is tuned "
                    "on explained validation images: set split: null, or "
                    'split: "validation".'
                )


def has_test_images(split: dict) -> bool:
    """Whether a data set is split so that some images are for testing."""
    return split["by"] == "official" or split["test"] > 0


def _segmenter_problems(config: dict, study: dict, path: str) -> Iterator[str]:
    """Sentences about masks that are not stored, or that only scores of maps can use."""
    for key, names in {
        "segmenters": study["segmenters"],
        "segmentation": [study["segmentation"]] if study["segmentation"] else [],
    }.items():
        for name in names:
            if studies.damages(config, name):
                yield (
                    f"{path}.{key} got '{name}', which damages true masks where maps are scored: "
                    "name it in `segmenters` of a family of scores of maps."
                )
    cut = [name for name in study["segmenters"] if "view" in studies.reads(config, name)]
    for key in ("networks", "explainers"):
        if cut and not study[key]:
            yield f"{path}.{key} is empty, but segmenter '{cut[0]}' is cut from maps: name one."
    for family, scores in study["scores"].items():
        if scores["of"] == "masks" and scores["segmenters"] is not None:
            yield f"{path}.scores.{family}.segmenters has no meaning for of: masks: set it to null."
        for name in scores["segmenters"] or []:
            if not studies.damages(config, name):
                yield (
                    f"{path}.scores.{family}.segmenters got '{name}', but it takes segmenters that "
                    "damage true masks: name another as `segmentation` of the study."
                )


def _score_problems(config: dict, study: dict, path: str) -> Iterator[str]:
    """Sentences about metrics whose maps, masks or references are missing."""
    for family, scores in study["scores"].items():
        for measure in studies.measures(scores):
            where = f"{path}.scores.{family}.measure got metric '{measure['metric']}'"
            metric = config["metrics"][measure["metric"]]["method"]
            reference, view = measure.get("reference", ""), measure.get("view", "")
            # `absence`: the metric is also of images whose reference is empty.
            there = {"reference": bool(reference), "view": bool(view), "absence": True}
            if scores["of"] == "masks":
                there |= {"mask": True, "instances": reference == "instances"}
            else:
                mask = bool(scores["segmenters"] or study["segmentation"])
                sure = study["segmentation"] and "confidence" in _facts(
                    config, study["segmentation"]
                )
                there |= {"mask": mask, "segmentation": bool(sure)}
                there |= {"probabilities": study["targets"] == "label"}
                of_map = ("attribution", "facts", "curves", "responses", "disturbed")
                there |= dict.fromkeys((*of_map, "validation_size"), True)
                there["other_seeds"] = scores["needs"] == "seeds" or len(config["seeds"]) > 1
            for part in about("metrics", metric)["reads"]:
                if not there.get(part):
                    yield f"{where}, which reads {part}: {_remedy(part, scores['of'])}."
            if view and scores["of"] == "masks":
                yield f"{where} with view '{view}', but masks have none: remove `view`."
            if reference and reference not in REFERENCES[scores["of"]]:
                known = ", ".join(REFERENCES[scores["of"]])
                yield f"{where} with reference '{reference}', but {scores['of']} have {known}."
            need = NEEDS.get(reference)
            lacking = [name for name in study["datasets"] if not studies.has(config, name, need)]
            if need and lacking and scores["needs"] != need:
                yield (
                    f"{where} with reference '{reference}', but data set '{lacking[0]}' has none: "
                    f"set needs: {need}, which leaves such data sets out."
                )


def _facts(config: dict, segmenter: str) -> list[str]:
    """Facts of a segmenter about each mask."""
    return about("segmenters", config["segmenters"][segmenter]["method"])["facts"]


def _remedy(part: str, of: str) -> str:
    """Remedy for an input that a metric lacks."""
    if part == "reference" or (part == "view" and of == "maps"):
        return f"give `{part}`"
    if part == "instances" and of == "masks":
        return "give reference: instances"
    if part == "mask" and of == "maps":
        return "give the study a `segmentation`"
    if part == "segmentation" and of == "maps":
        return "give the study a `segmentation` by a network"
    if part == "other_seeds" and of == "maps":
        return "name two or more `seeds`, or set needs: seeds, which leaves these scores out"
    return f"scores of: {of} lack it, name another metric"


def _table_problems(config: dict, table: str, spec: dict, path: str) -> Iterator[str]:
    """Sentences about a table without rows, or with values that its scores lack."""
    study = config["studies"][spec["study"]]
    yield from _unknown_segmenters(study["tables"][table]["segmenters"], spec, study, path)
    cells = studies.table_cells(config, table)
    if not cells:
        yield f"{path} has no rows: its scores ({', '.join(spec['scores'])}) are of nothing here."
    for key in ("network", "explainer", "segmenter"):
        of_row: dict[tuple, set] = {}
        for cell in cells:
            row = tuple(cell[name] for name in ["dataset", *spec["rows"]])
            of_row.setdefault(row, set()).update(filter(None, [cell[key]]))
        if several := next((names for names in of_row.values() if len(names) > 1), None):
            names = ", ".join(sorted(several))
            yield f"{path}.rows lacks {key}, and a row has several of it ({names}): add it."
    if not any(_sides(config, study, name, spec["splits"]) for name in spec["datasets"]):
        got = ", ".join(spec["splits"])
        yield f"{path}.splits got {got}, but none of these images is explained: name another."
    of_patches = [name for name in spec["predictions"] if name.startswith(studies.PATCH)]
    if of_patches and not any(config["datasets"][name]["patches"] for name in spec["datasets"]):
        yield (
            f"{path}.predictions got {of_patches[0]}, but none of its data sets has patches: "
            "remove it, or set `patches` of a data set."
        )
    yield from _value_problems(config, spec, study, path)
    yield from _rank_problems(config, spec, study, path)
    yield from _test_problems(config, spec, path)


def _unknown_segmenters(
    chosen: list | dict | None, spec: dict, study: dict, path: str
) -> Iterator[str]:
    """Sentences about segmenters that a table or figure names and its study does not."""
    own = (study["scores"][family]["segmenters"] or [] for family in spec.get("scores") or [])
    known = [*study["segmenters"], *chain(*own)]
    if isinstance(chosen, dict):
        chosen = [chosen[key] for key in ("first", "last") if key in chosen]
    for name in chosen or []:
        if name not in known:
            yield f"{path}.segmenters names '{name}', but its study has only {', '.join(known)}."


def _sides(config: dict, study: dict, dataset: str, splits: list[str]) -> list[str]:
    """The subsets of a data set, among some, with explained images of a study."""
    sides = [study["split"]] if study["split"] else ["train", "validation"]
    if not study["split"] and has_test_images(config["datasets"][dataset]["split"]):
        sides.append("test")
    return [split for split in splits if split in ("all", *sides)]


def _value_problems(config: dict, spec: dict, study: dict, path: str) -> Iterator[str]:
    """Sentences about values of a table without scores, or of unknown subsets."""
    measured = studies.measured(config, study, spec["scores"])
    for value in studies.values(spec):
        for part in studies.made_of(value):
            yield from _unmeasured(part, measured, f"{path}.values", spec["scores"])
        asked = {value.get("where"), value.get("against")} - {None}
        statistic = value.get("statistic", "mean")
        if statistic == "gain" and not controls(study):
            yield (
                f"{path}.values got statistic: gain, but its study has no controls: name some in "
                "its guidelines, or remove the value."
            )
        areas = statistic not in ("mean", "rank", "gain", *studies.TOGETHER)
        if spec["rows"] == ["segmenter"] and (areas or asked):
            yield (
                f"{path}.values needs correct and incorrect predictions, but its rows are "
                "segmenters alone: add network to `rows`, or remove `where` and `statistic`."
            )
        for where in sorted(asked & SIZES.keys()):
            if SIZES[where] not in measured:
                metric, _, reference = SIZES[where]
                yield (
                    f'{path}.values got where: "{where}", which its scores do not hold: add '
                    f"metric {metric} with reference {reference} to their `measure`."
                )


def _rank_problems(config: dict, spec: dict, study: dict, path: str) -> Iterator[str]:
    """Sentences about ranks without a better direction, and agreements without another value."""
    known, held = of_metrics(config, study, "direction"), studies.values(spec)
    for value in held:
        where = f'{path}.values got statistic: "{value.get("statistic")}"'
        if value.get("statistic") in studies.COMPARED and known.get(value.get("metric")) == "none":
            yield (
                f"{where} of {value['metric']}, of which neither more nor less is better: name "
                "another metric."
            )
        for key in filter(value.get, UNREAD.get(value.get("statistic"), ())):
            yield f"{where} with `{key}`, which has no meaning there: remove `{key}`."
    together = [value for value in held if value.get("statistic") in studies.TOGETHER]
    pairs = [value for value in together if value["statistic"] == "agreement"]
    if together and (together != held or len(pairs) < 2):
        yield (
            f'{path}.values got statistic: "{together[0]["statistic"]}", for which two values or '
            "more need statistic: agreement, and none another one: make a table of them alone."
        )


def _test_problems(config: dict, spec: dict, path: str) -> Iterator[str]:
    """Sentences about tests of values without scores, or without two sides."""
    tests = spec["tests"]
    if not tests:
        return
    study = config["studies"][spec["study"]]
    measured = studies.measured(config, study, spec["scores"])
    tested = {name: tests[name] for name in studies.MEASURE if name in tests}
    for value in studies.values({"values": [tested]}):
        yield from _unmeasured(value, measured, f"{path}.tests", spec["scores"])
    views = tests.get("view")
    if tests["kind"] == "wilcoxon" and isinstance(views, list) and len(views) > 2:
        yield f"{path}.tests.view got {', '.join(views)}, but two views are compared: name two."
    if tests["kind"] == "mann_whitney" and spec["rows"] == ["segmenter"]:
        yield f"{path}.tests compares predictions, but its rows have none: add network to `rows`."
    roles = {config["segmenters"][name]["role"] for name in spec["segmenters"]}
    wanted = set(tests.get("roles", []))
    if wanted and not wanted & roles:
        yield (
            f"{path}.tests.roles got {', '.join(sorted(wanted))}, but the table's segmenters are "
            f"{', '.join(sorted(roles))}: name some of these."
        )


def _unmeasured(value: dict, measured: set, path: str, families: list[str]) -> Iterator[str]:
    """A sentence, if some families of scores do not hold a value."""
    key = tuple(value.get(name, "") for name in studies.MEASURE)
    if key not in measured:
        score = " ".join(filter(None, key))
        yield f"{path} names {score}, which {', '.join(families)} do not measure: add it there."


def _figure_problems(config: dict, study: dict, path: str) -> Iterator[str]:
    """Sentences about examples and figures whose content is missing."""
    examples = study["examples"]
    if examples:
        yield from _example_problems(config, study, examples, f"{path}.examples")
    for figure, spec in study["figures"].items():
        kind, where = spec["kind"], f"{path}.figures.{figure}"
        for key in DRAWN_FROM.get(kind, ()):
            if not spec[key]:
                yield f"{where}.{key} is missing: kind {kind} is drawn from it."
        yield from _unknown_segmenters(spec["segmenters"], {}, study, where)
        if kind in OF_EXAMPLES:
            of = "masks" if kind == "mask_examples" else "maps"
            if not examples:
                yield f"{path}.examples is null, but figure {figure} shows them: declare them."
            elif study["scores"][examples["scores"][0]]["of"] != of:
                yield f"{where}.kind got {kind}, but the study's examples are not of {of}."
        if kind == "map_examples" and not study["segmentation"]:
            yield f"{path}.segmentation is null, but figure {figure} draws it: name a segmenter."
        if spec["table"]:
            yield from _drawn_problems(study, spec, where)
        if kind in ("mask_examples", "distributions") and not studies.choose(
            config, spec["segmenters"], study["segmenters"]
        ):
            yield f"{where}.segmenters chooses none of the study's segmenters: name one."
        of = spec["scores"] and study["scores"][spec["scores"]]["of"]
        if kind == "risk_coverage" and of == "masks":
            yield f"{where}.scores got '{spec['scores']}', but kind {kind} needs scores of maps."
        for table in spec["tables"] or []:
            if study["tables"][table]["rows"] != ["segmenter"]:
                yield f"{where}.tables got '{table}', but kind {kind} needs rows: [segmenter]."


def _drawn_problems(study: dict, spec: dict, where: str) -> Iterator[str]:
    """Sentences about a figure whose tables lack what it draws."""
    kind, table = spec["kind"], spec["table"]
    held = studies.values(study["tables"][table])
    together = any(value.get("statistic") in studies.TOGETHER for value in held)
    if together != (kind == "agreement"):
        other = "another statistic" if together else "statistic: agreement"
        yield f"{where}.table got '{table}', but kind {kind} needs values with {other}."
    if kind == "front" and spec["cost"]:
        printed = [v for v in held if "title" in v and v.get("statistic", "mean") == "mean"]
        if spec["metric"] not in [value.get("metric") for value in printed]:
            yield f"{where}.metric got '{spec['metric']}', but table {table} prints no mean of it."
        costs = [value.get("metric") for value in studies.values(study["tables"][spec["cost"]])]
        for metric in ("gradients", "forwards"):
            if metric not in costs:
                yield f"{where}.cost got '{spec['cost']}', but that table has no {metric}: add it."


def _example_problems(config: dict, study: dict, examples: dict, path: str) -> Iterator[str]:
    """Sentences about examples with missing scores, or without a method."""
    families = examples["scores"]
    measured = studies.measured(config, study, families)
    values = [examples["rank"], *filter(None, [examples["confidence"]]), *studies.values(examples)]
    for value in chain.from_iterable(studies.values({"values": [value]}) for value in values):
        value = {name: text for name, text in value.items() if name in studies.MEASURE}
        yield from _unmeasured(value, measured, path, families)
    for family in families:
        need = study["scores"][family]["needs"]
        for dataset in study["datasets"]:
            if not studies.has(config, dataset, need):
                yield (
                    f"{path}.scores names '{family}', but data set '{dataset}' has no {need}: "
                    "name another family."
                )
    of = study["scores"][families[0]]["of"]
    if of == "maps" and not examples["confidence"]:
        yield f"{path}.confidence is null, but examples of maps hold confident errors: name one."
    methods = [n for n in study["segmenters"] if config["segmenters"][n]["role"] in PICTURED]
    if of == "masks" and not methods:
        yield (
            f"{path} shows segmenters of the roles {' and '.join(PICTURED)}, and the study has "
            "none: name one in its segmenters, or set examples: null and remove their figures."
        )
