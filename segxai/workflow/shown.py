"""Content of figures and page for the selected studies: examples, methods and their names.

As in :mod:`segxai.workflow.studies`, all functions read a resolved configuration. Pictures show the
first seed.
"""

from itertools import chain

from segxai.workflow import studies
from segxai.workflow.plugins import about

# Roles of the segmenters whose masks are shown image by image.
PICTURED = ("variant", "baseline")
# Kinds of figures of a study's examples, and of tables alone, by their keys.
OF_EXAMPLES = ("mask_examples", "map_examples", "map_grid")
OF_TABLES = {
    "dots": ("table",),
    "agreement": ("table",),
    "front": ("table", "cost"),
    "responses": ("table", "mark"),
}
# Direction (more or less is better) of numbers without a metric file.
DIRECTIONS = {
    **dict.fromkeys(("auroc", "accuracy", "f1", "gain"), "higher"),
    **{studies.PATCH + name: "higher" for name in ("accuracy", "f1", "auroc")},
    **dict.fromkeys(("aurc", "augrc", "error_rate", "rank"), "lower"),
    "agreement": "none",
}
# Keys that distinguish the cells of a row.
CELL = [*studies.MEASURE, "statistic", "where", "with", "minus", "against"]


def titles(config: dict, names: list[str]) -> dict[str, str]:
    """Printed names of data sets."""
    return {name: config["datasets"][name]["title"] for name in names}


def names(config: dict, study: dict) -> dict[str, dict[str, str]]:
    """Printed names of a study's networks, explainers and segmenters, by kind."""
    segmenters = [*study["segmenters"], *filter(None, [study["segmentation"]])]
    for family in study["scores"].values():
        segmenters += family["segmenters"] or []
    own = chain.from_iterable(studies.networks_read(config, name) for name in segmenters)
    chosen = {
        "networks": [*study["networks"], *own],
        "explainers": study["explainers"],
        "segmenters": segmenters,
    }
    return {
        kind.removesuffix("s"): {name: config[kind][name]["title"] for name in of_kind}
        for kind, of_kind in chosen.items()
    }


def describe(value: dict) -> dict[str, str]:
    """Name a value by `CELL`: text, empty where it does not apply."""
    texts = {name: value.get(name, "") for name in CELL}
    statistic = value.get("statistic", "mean")
    if "minus" in value:
        statistic = "difference" if statistic == "mean" else f"{statistic}_difference"
        if isinstance(value["minus"], dict):
            texts["minus"] = " ".join(value["minus"].values())
    return texts | {"statistic": statistic, "where": value.get("where", "all")}


def declared_values(spec: dict) -> list[tuple[tuple[str, ...], str]]:
    """`CELL` and title of each number that a table declares, "" where it is not printed."""
    declared = [*({"metric": name} for name in spec["predictions"]), *spec["values"]]
    some = any("title" in value for value in declared)
    numbers = []
    for value in declared:
        several = [key for key in value if isinstance(value[key], list)]
        for chosen in studies.values({"values": [value]}):
            title = " ".join([chosen.get("title", ""), *map(chosen.get, several)])
            title = title if "title" in chosen else "" if some else _untitled(chosen)
            numbers.append((tuple(describe(chosen)[name] for name in CELL), title))
    return numbers


def value_titles(spec: dict) -> dict[tuple[str, ...], str]:
    """Title of each printed column of a table by its `CELL`, in order."""
    return {cell: title for cell, title in declared_values(spec) if title}


def _untitled(value: dict) -> str:
    """Name of a value without a title, from the keys that distinguish it."""
    cell = describe(value) | {"where": value.get("where", "")}
    if cell["statistic"] == "mean":
        cell["statistic"] = ""
    joined = {"with": "and ", "minus": "minus ", "against": "against "}
    order = ("statistic", "metric", "with", "view", "minus", "reference", "where", "against")
    return " ".join(joined.get(key, "") + cell[key] for key in order if cell[key])


def row_title(keys: dict, rows: list[str], names: dict[str, dict[str, str]]) -> str:
    """Name of a row: the printed names of the keys that distinguish rows."""
    return " ".join(names.get(key, {}).get(keys[key], keys[key]) for key in rows if keys.get(key))


def row_titles(config: dict, study: dict) -> dict[tuple[str, str], str]:
    """Printed name of each network of a study with each explainer."""
    titles = names(config, study)
    return {
        (network, explainer): f"{titles['network'][network]} {titles['explainer'][explainer]}"
        for network, explainer in studies.explained(config, study)
    }


def pictured(config: dict, study: dict, dataset: str) -> tuple[list[dict], list[dict]]:
    """Cells of the maps and masks in a study's examples of a data set."""
    own = ({**config, "seeds": config["seeds"][:1]}, {**study, "datasets": [dataset]})
    maps, masks = studies.map_cells(*own), studies.mask_cells(*own)
    if examples_of(study) == "maps":
        return maps, [cell for cell in masks if cell["segmenter"] == study["segmentation"]]
    role = {name: definition["role"] for name, definition in config["segmenters"].items()}
    return maps, [cell for cell in masks if role[cell["segmenter"]] in PICTURED]


def examples_of(study: dict) -> str:
    """Kind of a study's examples: ``masks`` (images) or ``maps`` (targets)."""
    return study["scores"][study["examples"]["scores"][0]]["of"]


def methods(config: dict, study: dict) -> dict[str, dict[str, str]]:
    """Title and role of each method of a study's examples, by path."""
    if examples_of(study) == "masks":
        masks = pictured(config, study, study["datasets"][0])[1]
        of_path = {cell["path"]: config["segmenters"][cell["segmenter"]] for cell in masks}
        return {path: {key: of[key] for key in ("title", "role")} for path, of in of_path.items()}
    titled = row_titles(config, study)
    return {"/".join(row): {"title": titled[row], "role": "explainer"} for row in titled}


def paths(config: dict, study: dict, segmenters: list[str]) -> list[str]:
    """Paths of some segmenters among a study's methods, in their order."""
    masks = pictured(config, study, study["datasets"][0])[1]
    return [cell["path"] for name in segmenters for cell in masks if cell["segmenter"] == name]


def headline(config: dict, study: dict) -> str:
    """Path of the method that ranks a study's examples, or the first path."""
    own = paths(config, study, [study["headline"]])
    return next(iter([*own, *methods(config, study)]))


def example_facts(config: dict, name: str, dataset: str) -> dict:
    """Facts by which a study's examples of a data set are chosen and drawn."""
    study = config["studies"][name]
    maps, masks = pictured(config, study, dataset)
    return {
        "map_paths": [cell["path"] for cell in maps],
        "mask_paths": [cell["path"] for cell in masks],
        "of": examples_of(study),
        "spec": study["examples"],
        "headline": headline(config, study),
    }


def examples(config: dict, name: str, dataset: str) -> dict[str, list[str]]:
    """Input files of a study's examples of a data set, by kind."""
    study, seed = config["studies"][name], config["seeds"][0]
    facts = example_facts(config, name, dataset)
    files = {
        "targets": [f"results/targets/{dataset}/{n}/seed-{seed}.csv" for n in study["networks"]],
        "scores": [
            cell["file"]
            for family in study["examples"]["scores"]
            for cell in studies.score_cells(config, name, family)
            if (cell["dataset"], cell["seed"]) == (dataset, seed)
            and (not cell["segmenter"] or cell["path"] in facts["mask_paths"])
        ],
    }
    for kind in ("map", "mask"):
        stems = [f"results/{kind}s/{dataset}/{p}/seed-{seed}" for p in facts[f"{kind}_paths"]]
        files[f"{kind}s"] = [f"{stem}.npy" for stem in stems]
        files[f"{kind}_rows"] = [f"{stem}.csv" for stem in stems]
    return files


def example_files(config: dict, *names: str) -> dict[str, list[str]]:
    """Arrays and tables of the examples of studies, in the order of their data sets."""
    chosen = [(name, config["studies"][name]) for name in names]
    stems = [
        f"results/examples/{name}/{dataset}"
        for name, study in chosen
        for dataset in (study["datasets"] if study["examples"] else [])
    ]
    return {"arrays": [f"{s}.npz" for s in stems], "examples": [f"{s}.csv" for s in stems]}


def trained(config: dict, study: dict) -> list[tuple[str, str]]:
    """Data set and network of each training of a study."""
    segmenters = studies.stored(config, study)
    own = chain.from_iterable(studies.networks_read(config, name) for name in segmenters)
    chosen = dict.fromkeys([*study["networks"], *own])
    trained = [name for name in chosen if config["networks"][name]["training"]]
    return [(dataset, network) for dataset in study["datasets"] for network in trained]


def used(config: dict) -> dict[str, list[str]]:
    """Names of the entries whose titles the selected studies show, by configuration section.

    A published network that only a segmenter reads does not have a row.
    """
    chosen = studies.selected(config)
    own = [names(config, study) for study in chosen.values()]
    measured = [
        measure
        for study in chosen.values()
        for family in study["scores"].values()
        for measure in studies.measures(family)
    ]
    of_section = {
        "studies": chosen,
        "datasets": studies.datasets(config),
        "networks": [name for study in chosen.values() for _, name in trained(config, study)],
        "explainers": [name for titles in own for name in titles["explainer"]],
        "segmenters": [name for titles in own for name in titles["segmenter"]],
        "views": [measure["view"] for measure in measured if "view" in measure],
        "metrics": [measure["metric"] for measure in measured],
    }
    return {section: list(dict.fromkeys(shown)) for section, shown in of_section.items()}


def declared_table(config: dict, table: str) -> dict:
    """Declaration of a table without its caption, which concerns the page alone."""
    return uncaptioned(studies.tables(config)[table])


def uncaptioned(spec: dict) -> dict:
    """Declaration without what only the page and Snakemake's report show."""
    return {key: value for key, value in spec.items() if key != "caption"}


def table_facts(config: dict, table: str) -> dict:
    """Facts about a table, by the names of its rule's params."""
    spec = declared_table(config, table)
    study = config["studies"][spec["study"]]
    if compares(spec):
        spec |= {
            "directions": of_metrics(config, study, "direction"),
            "controls": controls(study),
        }
    return {
        "spec": spec,
        "titles": titles(config, study["datasets"]),
        "names": names(config, study),
        "segmenters": {name: config["segmenters"][name] for name in spec["segmenters"]},
        "selections": studies.own_selections(config, spec["study"], spec["datasets"]),
    }


def guideline_facts(config: dict, guideline: str) -> dict:
    """What guidelines say, by the names of their rule's params."""
    spec = uncaptioned(studies.guidelines(config)[guideline])
    study = config["studies"][spec["study"]]
    return {
        "spec": spec | {"directions": of_metrics(config, study, "direction")},
        "titles": titles(config, study["datasets"]),
        "names": names(config, study),
        "selections": studies.own_selections(config, spec["study"], spec["datasets"]),
    }


def compares(spec: dict) -> bool:
    """Whether a table compares its rows, and so needs the direction of its scores."""
    tests = spec["tests"] or {}
    compared = (value.get("statistic") in studies.COMPARED for value in studies.values(spec))
    return any(compared) or tests.get("kind") == "friedman" or tests.get("pairs") == "best"


def controls(study: dict) -> list[str]:
    """Explainers of a study that its guidelines call controls, sorted."""
    return sorted({name for own in study["guidelines"].values() for name in own["controls"]})


def of_metrics(config: dict, study: dict, fact: str) -> dict[str, str]:
    """A fact about the scores of a study, by metric, or by value of a metric with several."""
    known = {}
    for measure in chain.from_iterable(map(studies.measures, study["scores"].values())):
        facts = about("metrics", config["metrics"][measure["metric"]]["method"])
        names = facts.get("names", [measure["metric"]])
        known |= dict.fromkeys(names, facts[fact])
    return known


def figure_files(config: dict, figure: str) -> dict[str, str | list[str]]:
    """Input files of a figure, by the names in its rule."""
    spec = studies.figures(config)[figure]
    name, kind = spec["study"], spec["kind"]
    study = config["studies"][name]
    if kind in OF_EXAMPLES:
        return example_files(config, name)
    if kind == "distributions":
        files = [studies.table_files(config, table)["scores"] for table in spec["tables"]]
        tables = [f"results/tables/{table}.csv" for table in spec["tables"]]
        return {"scores": sorted(set().union(*files)), "tables": tables}
    if kind == "risk_coverage":
        cells = studies.score_cells(config, name, spec["scores"])
        return {"scores": [cell["file"] for cell in cells]}
    if kind in OF_TABLES:
        return {key: f"results/tables/{spec[key]}.csv" for key in OF_TABLES[kind]}
    stems = [f"results/models/{dataset}/{net}" for dataset, net in trained(config, study)]
    seeds = config["seeds"]
    return {"histories": [f"{stem}/seed-{seed}/history.csv" for stem in stems for seed in seeds]}


def figure_facts(config: dict, figure: str) -> dict:
    """Facts about a figure, by the names of its rule's params, as far as its kind has them."""
    spec = studies.figures(config)[figure]
    study = config["studies"][spec["study"]]
    facts = {
        "spec": spec,
        "titles": titles(config, study["datasets"]),
        "rows": row_titles(config, study),
        "names": names(config, study),
        "segmenters": {
            name: {key: config["segmenters"][name][key] for key in ("title", "role")}
            for name in study["segmenters"]
        },
        "networks": [
            {
                "dataset": dataset,
                "network": network,
                "title": f"{config['datasets'][dataset]['title']}, {net['title']}",
                "loss": net["training"]["loss"],
            }
            for dataset, network in trained(config, study)
            for net in [config["networks"][network]]
        ],
    }
    if spec["table"]:
        facts["declared"] = declared_table(config, spec["table"])
    facts["controls"] = controls(study)
    facts["directions"] = of_metrics(config, study, "direction")
    facts["families"] = of_metrics(config, study, "family")
    return facts | (_of_examples(config, study, spec) if spec["kind"] in OF_EXAMPLES else {})


def _of_examples(config: dict, study: dict, spec: dict) -> dict:
    """Facts about a figure of a study's examples."""
    rank, known = study["examples"]["rank"], methods(config, study)
    facts = {
        "methods": known,
        "rank": rank,
        "rank_title": config["metrics"][rank["metric"]]["title"],
        "values": studies.values(study["examples"]),
        "shown": paths(config, study, spec["segmenters"]),
    }
    if spec["kind"] == "mask_examples":
        return facts
    # Maps show the first network, so their names are those of explainers.
    shown = [row for row in studies.explained(config, study) if row[0] == study["networks"][0]]
    for row in shown:
        known["/".join(row)]["title"] = config["explainers"][row[1]]["title"]
    return facts | {"shown": ["/".join(row) for row in shown]}


def page(config: dict) -> dict:
    """All facts on the page about the run: see ``scripts/write_report.py``."""
    known, tables = {}, studies.tables(config)
    # Only the used metrics and views: another entry must not change the page.
    printed = {
        kind: {name: config[f"{kind}s"][name]["title"] for name in used(config)[f"{kind}s"]}
        for kind in ("metric", "view")
    }
    for name, study in studies.selected(config).items():
        known[name] = {"title": study["title"]}
        if study["examples"] and study["datasets"]:
            units = [spec["unit"] for spec in tables.values() if spec["study"] == name]
            known[name] |= {
                "methods": methods(config, study),
                "first": headline(config, study),
                "unit": units[0],
                "values": studies.values(study["examples"]),
            }
        for kind, of_kind in names(config, study).items():
            printed[kind] = printed.get(kind, {}) | of_kind
    directions = {
        name: about("metrics", config["metrics"][name]["method"])["direction"]
        for name in printed["metric"]
    }
    return {
        "titles": titles(config, studies.datasets(config)),
        "names": printed,
        "seeds": config["seeds"],
        "statistics": config["statistics"],
        "tables": tables,
        "guidelines": studies.guidelines(config),
        "figures": studies.figures(config),
        "directions": directions | DIRECTIONS,
        "studies": known,
    }
