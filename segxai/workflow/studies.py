"""Files that the declared studies need: maps, masks, scores, tables and figures.

All functions take a resolved configuration (:func:`segxai.workflow.plugins.resolve`) and only read
it. A *cell* is a dict with the keys of a file: dataset, network, explainer, segmenter, seed, and
the path between data set and seed.
"""

from itertools import chain, product
from math import ceil

from segxai.workflow.plugins import about, network_body, network_task

# Used if the number of images of a data set is unknown.
UNKNOWN_COUNT = 640
# Keys of a measured value.
MEASURE = ["metric", "view", "reference"]
# Statistics that compare the rows; those of all rows together: of two values, and of all values.
COMPARED = ("rank", "gain", "agreement")
TOGETHER = ("agreement", "concordance")
# Settings of a metric that determine its evaluations of the network.
ASKED = ("fill", "steps", "scale", "images")
# Beginning of the names of statistics of predictions of labelled patches.
PATCH = "patch_"


def selected(config: dict) -> dict[str, dict]:
    """Studies that are run, by name."""
    return {name: config["studies"][name] for name in config["run"]}


def datasets(config: dict) -> list[str]:
    """Data sets of all selected studies, each once."""
    return list(
        dict.fromkeys(name for study in selected(config).values() for name in study["datasets"])
    )


def has(config: dict, dataset: str, need: str | None) -> bool:
    """Whether a data set, or the run, meets the needs of a family of scores."""
    definition = config["datasets"][dataset]
    if need == "instances":
        return definition["instances"]
    if need == "seeds":
        return len(config["seeds"]) > 1
    return need is None or bool(definition["source"].get("shortcut"))


def reads(config: dict, segmenter: str) -> list[str]:
    """Inputs of the method of a segmenter."""
    return about("segmenters", config["segmenters"][segmenter]["method"])["reads"]


def damages(config: dict, segmenter: str) -> bool:
    """Whether a segmenter damages true masks, where maps are scored; its masks are not stored."""
    return reads(config, segmenter) == ["truth"]


def keys_read(config: dict, network: str, kind: str, entry: dict) -> list[tuple[str, int]]:
    """Network and input size in px of the keys that a view or segmenter reads; empty if none.

    They are of the explained or segmented `network`, unless the entry names another. `kind` is
    ``views`` or ``segmenters``.
    """
    if "keys" not in about(kind, entry["method"])["reads"]:
        return []
    name = entry["network"] or network
    return [(name, entry["input_size"] or config["networks"][name]["input_size"])]


def keys_of_cell(config: dict, cell: dict) -> list[tuple[str, int]]:
    """Network and input size of the keys that the masks of a cell, and their view, are made of."""
    entry = config["segmenters"].get(cell["segmenter"])
    view = config["views"].get(entry["view"]) if entry else None
    readers = {"segmenters": entry, "views": view}
    return [
        source
        for kind, reader in readers.items()
        if reader
        for source in keys_read(config, cell["network"], kind, reader)
    ]


def networks_read(config: dict, segmenter: str) -> list[str]:
    """Networks that a segmenter and its view name, besides the explained one."""
    entry = config["segmenters"][segmenter]
    view = config["views"].get(entry["view"], {})
    return [*filter(None, [entry["network"], view.get("network")])]


def mask_path(config: dict, segmenter: str, network: str = "", explainer: str = "") -> str:
    """Path of a segmenter's masks between data set and seed: everything that they depend on.

    Raises
    ------
    ValueError
        If its masks are never stored, or it needs an explainer and none is given.
    """
    read = reads(config, segmenter)
    if damages(config, segmenter):
        raise ValueError(f"masks of segmenter '{segmenter}' are made where they are used.")
    if "view" in read:
        if not explainer:
            raise ValueError(f"segmenter '{segmenter}' needs an explainer.")
        return f"{network}/{explainer}/{segmenter}"
    own = config["segmenters"][segmenter]["network"]
    return f"{own}/{segmenter}" if own else segmenter


def keys(config: dict, path: str) -> dict[str, str]:
    """Network, explainer and segmenter of a path of maps or masks; empty where missing."""
    first, *rest = path.split("/")
    network, names = (first, rest) if rest else ("", [first])
    return {
        "network": network,
        "explainer": next((name for name in names if name in config["explainers"]), ""),
        "segmenter": next((name for name in names if name in config["segmenters"]), ""),
    }


def map_cells(config: dict, study: dict) -> list[dict]:
    """Cells of a study's attributions."""
    return _cells(config, study, ["/".join(row) for row in explained(config, study)])


def mask_cells(config: dict, study: dict) -> list[dict]:
    """Cells of a study's masks; network and explainer are empty where a mask depends on none."""
    cells = []
    for segmenter in stored(config, study):
        of = explained(config, study) if "view" in reads(config, segmenter) else [()]
        paths = [mask_path(config, segmenter, *names) for names in of]
        cells += _cells(config, study, paths)
    return cells


def _cells(config: dict, study: dict, paths: list[str]) -> list[dict]:
    """Cells of a study with some paths."""
    return [
        {"dataset": dataset, "seed": seed, "path": path, **keys(config, path)}
        for dataset, path, seed in product(study["datasets"], paths, config["seeds"])
    ]


def explained(config: dict, study: dict) -> list[tuple[str, str]]:
    """Each network of a study with each explainer that suits it."""
    pairs = product(study["networks"], study["explainers"])
    return [pair for pair in pairs if suits(config, *pair)]


def left_out(config: dict) -> list[str]:
    """Sentences about what a selected study leaves out.

    Explainers of a network that they do not suit, and scores of several seeds where there is one.
    """
    sentences = []
    for name, study in selected(config).items():
        sentences += [
            f"study {name}: {explainer} does not suit {network} and is left out there"
            for network, explainer in product(study["networks"], study["explainers"])
            if not suits(config, network, explainer)
        ]
        sentences += [
            f"study {name}: scores {family} compare seeds and are left out; name two or more seeds"
            for family, scores in study["scores"].items()
            if scores["needs"] == "seeds" and len(config["seeds"]) == 1
        ]
    return sentences


def suits(config: dict, network: str, explainer: str) -> bool:
    """Whether an explainer suits networks of this kind."""
    known = about("explainers", config["explainers"][explainer]["method"])["suits"]
    return network_body(config["networks"][network]) in known


def stored(config: dict, study: dict) -> list[str]:
    """Segmenters of a study with masks on disk, and those whose masks they refine."""
    chosen = [*study["segmenters"], *filter(None, [study["segmentation"]])]
    refined = [config["segmenters"][name]["of"] for name in chosen]
    names = dict.fromkeys([*filter(None, refined), *chosen])
    return [name for name in names if not damages(config, name)]


def needs(config: dict, dataset: str, network: str) -> dict:
    """Values that the selected studies read from a network on a data set, besides its output.

    Definitions of the ``explainers`` of its outputs; input sizes in px at which ``keys`` are read,
    by segmenters or views; whether ``levels`` are read; and the ``fills`` of what metrics remove.
    """
    explainers, sizes, levels = {}, set(), False
    for study in selected(config).values():
        for cell in [*map_cells(config, study), *mask_cells(config, study)]:
            if cell["dataset"] != dataset:
                continue
            sizes |= {size for name, size in keys_of_cell(config, cell) if name == network}
            if cell["network"] != network:
                continue
            if cell["explainer"]:
                explainers[cell["explainer"]] = untitled(config["explainers"][cell["explainer"]])
            levels |= "levels" in (reads(config, cell["segmenter"]) if cell["segmenter"] else [])
    chosen = [explainers[name] for name in sorted(explainers)]
    removed = (read_of_network(config, part, dataset, network) for part in ("curves", "responses"))
    fills = sorted({settings["fill"] for settings in chain.from_iterable(removed)})
    return {"explainers": chosen, "keys": sorted(sizes), "levels": levels, "fills": fills}


def score_cells(config: dict, study_name: str, family: str) -> list[dict]:
    """Cells of a study's score files of one family, each with its ``file``."""
    study = config["studies"][study_name]
    cells = map_cells if study["scores"][family]["of"] == "maps" else mask_cells
    return [
        cell | {"file": "results/scores/{}/{dataset}/{path}/seed-{seed}.csv".format(family, **cell)}
        for cell in cells(config, study)
        if scores_of(config, study, family, cell["dataset"], cell["path"])
    ]


def scores_of(config: dict, study: dict, family: str, dataset: str, path: str) -> dict | None:
    """Declaration of a score file by family, data set and path; None if there is none."""
    scores, named = study["scores"].get(family), keys(config, path)
    if not scores or dataset not in study["datasets"] or not has(config, dataset, scores["needs"]):
        return None
    known = named["network"] in study["networks"] and named["explainer"] in study["explainers"]
    if scores["of"] == "maps":
        return scores if known and not named["segmenter"] else None
    known = named["segmenter"] in study["segmenters"] and (known or not named["explainer"])
    return scores if known else None


def requests(config: dict, family: str, dataset: str, path: str) -> list[dict]:
    """Requests of a score file for all selected studies, each once, with its definitions.

    A request has ``segmenter``, the name of the mask used as segmentation or "", and
    ``segmenter_definition``; ``view`` with its name and definition, or None; ``reference`` or "";
    ``metric`` with its name and definition.
    """

    def defined(kind, name):
        return untitled(config[kind][name]) if name else None

    chosen = []
    for study in selected(config).values():
        if not (scores := scores_of(config, study, family, dataset, path)):
            continue
        masks = [""]
        if scores["of"] == "maps":
            masks = scores["segmenters"] or [study["segmentation"] or ""]
        for mask, measure in product(masks, measures(scores)):
            view, metric = measure.get("view"), measure["metric"]
            request = {
                "segmenter": mask,
                "segmenter_definition": defined("segmenters", mask),
                "view": {"name": view, **defined("views", view)} if view else None,
                "reference": measure.get("reference", ""),
                "metric": {"name": metric, **defined("metrics", metric)},
            }
            if request not in chosen:
                chosen.append(request)
    return chosen


def read_of_network(
    config: dict, part: str, dataset: str, network: str, explainer: str | None = None
) -> list[dict]:
    """Settings `ASKED` with which metrics of maps evaluate the network, each once.

    Parameters
    ----------
    part : str
        ``curves`` or ``disturbed``, which are of one `explainer`, or ``responses``, which are of
        none.
    """
    asked = set()
    for study in selected(reading(config, part)).values():
        paths = (pair for pair in explained(config, study) if explainer in (None, pair[1]))
        if dataset not in study["datasets"] or network not in {own for own, _ in paths}:
            continue
        for measure in chain.from_iterable(map(measures, study["scores"].values())):
            metric = config["metrics"][measure["metric"]]
            if part in about("metrics", metric["method"])["reads"]:
                asked.add(tuple((key, metric[key]) for key in ASKED if key in metric))
    return [dict(settings) for settings in sorted(asked)]


def reading(config: dict, part: str) -> dict:
    """The configuration with only the selected studies whose metrics of maps read a part."""
    names = [
        name
        for name, study in selected(config).items()
        for family in study["scores"].values()
        if family["of"] == "maps"
        for measure in measures(family)
        if part in about("metrics", config["metrics"][measure["metric"]]["method"])["reads"]
    ]
    return {**config, "run": [*dict.fromkeys(names)]}


def repeated_images(config: dict, dataset: str, network: str, explainer: str) -> int:
    """Number of images of a study whose targets an explainer explains again."""
    asked = read_of_network(config, "disturbed", dataset, network, explainer)
    return max(settings["images"] for settings in asked)


def untitled(definition: dict) -> dict:
    """A definition without its title, so that a new title does not rerun jobs."""
    return {name: value for name, value in definition.items() if name not in ("title", "role")}


def measures(scores: dict) -> list[dict]:
    """Values that a family of scores measures, one by one."""
    return values({"values": scores["measure"]})


def values(spec: dict) -> list[dict]:
    """Values of a table one by one: lists within a declared value are multiplied."""
    return [
        dict(zip(value, chosen, strict=True))
        for value in spec["values"]
        for chosen in product(*(v if isinstance(v, list) else [v] for v in value.values()))
    ]


def made_of(value: dict) -> list[dict]:
    """Metrics behind a value of a table: its own, and those of ``with`` and ``minus``."""
    own = [value] if "metric" in value else []
    return own + [other(value, key) for key in ("with", "minus") if key in value]


def other(value: dict, key: str) -> dict:
    """Meaning of ``with`` or ``minus``: a metric, or the differences from the value itself."""
    if isinstance(value[key], str):
        return {"metric": value[key]}
    return {name: text for name, text in value.items() if name != key} | value[key]


def measured(config: dict, study: dict, families: list[str]) -> set[tuple[str, str, str]]:
    """`MEASURE` of all scores in some families of a study; a metric may have several values."""
    held = set()
    for measure in chain.from_iterable(measures(study["scores"][name]) for name in families):
        facts = about("metrics", config["metrics"][measure["metric"]]["method"])
        others = [measure.get(key, "") for key in MEASURE[1:]]
        held |= {(name, *others) for name in facts.get("names", [measure["metric"]])}
    return held


def tuned(config: dict, study: dict) -> list[str]:
    """Segmenters of maps of a study that the grid tunes beyond their default settings."""
    grid, names = config["tuning"]["grid"], []
    for name in stored(config, study):
        entry = config["segmenters"][name]
        # A refined mask keeps the view of its coarse mask.
        own_view = entry["view"] and not entry["of"]
        made_by = [entry, *([config["views"][entry["view"]]] if own_view else [])]
        axes = (
            {value != method[key] for value in values}
            for method in made_by
            for key, values in grid.get(method["method"], {}).items()
        )
        if "view" in reads(config, name) and any(True in axis for axis in axes):
            names.append(name)
    return names


def tables(config: dict) -> dict[str, dict]:
    """Tables of the selected studies by name, without those that no data set has.

    Each has the name of its ``study``, its ``datasets`` and its ``segmenters``.
    """
    known = {}
    for name, study in selected(config).items():
        for table, spec in study["tables"].items():
            needs = [study["scores"][family]["needs"] for family in spec["scores"]]
            rows = [d for d in study["datasets"] if all(has(config, d, need) for need in needs)]
            if rows:
                own = (study["scores"][family]["segmenters"] or [] for family in spec["scores"])
                names = [*chain(*own)] or study["segmenters"]
                chosen = choose(config, spec["segmenters"], names)
                known[table] = {**spec, "study": name, "datasets": rows, "segmenters": chosen}
    return known


def guidelines(config: dict) -> dict[str, dict]:
    """Guidelines of the selected studies by name, with what makes rows of them.

    Each has the name of its ``study``, its ``datasets``, and no segmenters or values of its own.
    """
    return {
        name: {**spec, "study": study_name, "datasets": study["datasets"]}
        | {"rows": ["network", "explainer"], "segmenters": [], "values": [], "number": None}
        for study_name, study in selected(config).items()
        for name, spec in study["guidelines"].items()
        if study["datasets"]
    }


def guideline_files(config: dict, guideline: str) -> dict[str, list[str]]:
    """Files that guidelines are made of: ``scores`` and ``samples``."""
    spec = guidelines(config)[guideline]
    cells = (score_cells(config, spec["study"], family) for family in spec["scores"])
    return {
        "scores": _files("{file}", cells),
        "samples": [f"results/data/{dataset}/samples.csv" for dataset in spec["datasets"]],
    }


def choose(config: dict, chosen: list | dict | None, names: list[str]) -> list[str]:
    """Segmenters that a table or figure chooses among some: names, roles, or all."""
    if not isinstance(chosen, dict):
        return names if chosen is None else chosen
    role = {name: config["segmenters"][name]["role"] for name in names}
    ends = [chosen.get("first"), chosen.get("last")]
    roles = chosen.get("roles", [])
    between = [n for wanted in roles for n in names if role[n] == wanted and n not in ends]
    return [name for name in [ends[0], *between, ends[1]] if name]


def table_cells(config: dict, table: str) -> list[dict]:
    """Cells of the input score files of a table."""
    spec = tables(config)[table]
    return [
        cell
        for family in spec["scores"]
        for cell in score_cells(config, spec["study"], family)
        if cell["dataset"] in spec["datasets"]
        and (not cell["segmenter"] or cell["segmenter"] in spec["segmenters"])
    ]


def table_files(config: dict, table: str) -> dict[str, list[str]]:
    """Input files of a table: ``scores``, ``predictions``, of ``patches`` too, and ``samples``."""
    spec = tables(config)[table]
    study = config["studies"][spec["study"]]
    scores = [cell["file"] for cell in table_cells(config, table)]
    cells = [*product(spec["datasets"], study["networks"], config["seeds"])]
    of_patches = {name.startswith(PATCH) for name in spec["predictions"]}
    images = cells if False in of_patches else []
    patches = [c for c in cells if True in of_patches and config["datasets"][c[0]]["patches"]]
    return {
        "scores": scores,
        "predictions": [f"results/predictions/{d}/{n}/seed-{s}.csv" for d, n, s in images],
        "patches": [f"results/patches/{d}/{n}/seed-{s}.csv" for d, n, s in patches],
        "samples": [f"results/data/{dataset}/samples.csv" for dataset in spec["datasets"]],
    }


def figures(config: dict) -> dict[str, dict]:
    """Figures of the selected studies by name, as far as their tables and data sets exist.

    Each has the name of its ``study`` and its ``segmenters``.
    """
    made, known = tables(config), {}
    for name, study in selected(config).items():
        for figure, spec in study["figures"].items():
            if study["datasets"] and all(table in made for table in drawn_tables(spec)):
                chosen = choose(config, spec["segmenters"], study["segmenters"])
                known[figure] = {**spec, "study": name, "segmenters": chosen}
    return known


def drawn_tables(spec: dict) -> list[str]:
    """Tables that a figure is drawn from."""
    return [*(spec["tables"] or []), *filter(None, [spec["table"], spec["mark"], spec["cost"]])]


def selections(
    config: dict, dataset: str, network: str | None = None, explainer: str | None = None
) -> list[dict]:
    """Selections of images of a data set by the selected studies, of one network or of all.

    A selection has ``split`` (None for all), ``images`` (a number, None for all) and ``seed``.
    """
    chosen = {}
    for study in selected(config).values():
        known = explainer in (None, *study["explainers"])
        if known and dataset in study["datasets"] and network in (None, *study["networks"]):
            images = study["images"]
            images = images.get(dataset) if isinstance(images, dict) else images
            seed = config["datasets"][dataset]["split"]["seed"]
            selection = {"split": study["split"], "images": images, "seed": seed}
            chosen[study["split"] or "", images or 0] = selection
    return [chosen[key] for key in sorted(chosen)]


def needs_of_outlines(config: dict, dataset: str) -> list[dict]:
    """Uses, in the selected studies, of images of a data set with an outlined finding.

    Each has the ``study`` and its ``use`` of the images; their subset ``split``, or None; and their
    ``selections`` of :func:`selections`, or None for all.
    """
    needs = []
    for name, study in selected(config).items():
        if dataset not in study["datasets"]:
            continue
        explained = selections({**config, "run": [name]}, dataset)
        references = {m.get("reference") for m in chain(*map(measures, study["scores"].values()))}
        uses = {
            ("scored", None): references & {"truth", "findings", "instances"},
            ("tuned on", "validation"): tuned(config, study),
            ("learnt from", "train"): taught(config, study),
            ("validated on", "validation"): segmenting(config, study),
        }
        needs += [
            {"study": name, "use": use, "split": split}
            | {"selections": explained if use in ("scored", "tuned on") else None}
            for (use, split), needed in uses.items()
            if needed
        ]
    return needs


def taught(config: dict, study: dict) -> list[str]:
    """Controls and networks of a study that learn from true masks."""
    controls = [name for name in stored(config, study) if "training" in reads(config, name)]
    return controls + segmenting(config, study)


def segmenting(config: dict, study: dict) -> list[str]:
    """Networks of a study that are trained to segment."""
    own = chain.from_iterable(networks_read(config, name) for name in stored(config, study))
    networks = {name: config["networks"][name] for name in [*study["networks"], *own]}
    return [
        name
        for name, network in networks.items()
        if network["training"] and network_task(network) == "segment"
    ]


def own_selections(config: dict, study: str, names: list[str]) -> dict[str, list[dict]]:
    """Selections of images of some data sets by one study."""
    return {name: selections({**config, "run": [study]}, name) for name in names}


def n_shards(config: dict, dataset: str) -> int:
    """Number of jobs for the explained images of a data set.

    Snakemake needs it before any image exists: it follows from the published number of images and
    the selections of the configuration, not from files.
    """
    definition = config["datasets"][dataset]
    known = [definition["n_images"], definition["source"].get("images")]
    total = next(filter(None, known), UNKNOWN_COUNT)
    total = min(total, definition["max_images"] or total)
    split = definition["split"]
    counts = {None: total, "validation": split["validation"], "test": split["test"] or total}
    explained = [
        min(chosen["images"] or total, counts.get(chosen["split"], total))
        for chosen in selections(config, dataset)
    ]
    return max(1, ceil(min(total, sum(explained)) / config["shard_size"]))


def check_files(config: dict) -> list[str]:
    """Files of the checks before training: images with outlines, and the uses of networks."""
    cells = [
        (cell["dataset"], network)
        for study in selected(config).values()
        for cell in [*map_cells(config, study), *mask_cells(config, study)]
        for network in [cell["network"], *(name for name, _ in keys_of_cell(config, cell))]
        if network
    ]
    networks = [f"results/checks/{dataset}/{network}.json" for dataset, network in cells]
    outlines = [f"results/targets/{dataset}/outlines.csv" for dataset in datasets(config)]
    return list(dict.fromkeys([*outlines, *networks]))


def map_files(config: dict) -> list[str]:
    """Files of all attributions, each once."""
    cells = (map_cells(config, study) for study in selected(config).values())
    return _files("results/maps/{dataset}/{path}/seed-{seed}.npy", cells)


def mask_files(config: dict) -> list[str]:
    """Files of all masks, each once."""
    cells = (mask_cells(config, study) for study in selected(config).values())
    return _files("results/masks/{dataset}/{path}/seed-{seed}.npy", cells)


def score_files(config: dict) -> list[str]:
    """All score files of the selected studies, each once."""
    chosen = selected(config).items()
    pairs = [(name, family) for name, study in chosen for family in study["scores"]]
    return _files("{file}", (score_cells(config, *pair) for pair in pairs))


def _files(pattern: str, cells) -> list[str]:
    """Files of lists of cells."""
    return list(dict.fromkeys(pattern.format(**cell) for cell in chain(*cells)))
