"""What figures and the page show of the selected studies: examples, methods and their names.

As in :mod:`segxai.workflow.studies`, all functions read a resolved configuration. Pictures are of
the first seed.
"""

from itertools import product

from segxai.workflow import studies
from segxai.workflow.plugins import about

# Roles of the segmenters whose masks are shown image by image.
PICTURED = ("variant", "baseline")
# Whether more is better, of numbers that no metric file describes.
DIRECTIONS = {
    "auroc": "higher",
    "aurc": "lower",
    "augrc": "lower",
    "error_rate": "lower",
    "accuracy": "higher",
    "f1": "higher",
}


def titles(config: dict, names: list[str]) -> dict[str, str]:
    """Printed names of data sets."""
    return {name: config["datasets"][name]["title"] for name in names}


def names(config: dict, study: dict) -> dict[str, dict[str, str]]:
    """Printed names of a study's networks, explainers and segmenters, by kind."""
    segmenters = [*study["segmenters"], *filter(None, [study["segmentation"]])]
    for family in study["scores"].values():
        segmenters += family["segmenters"] or []
    own = [config["segmenters"][name]["network"] for name in segmenters]
    chosen = {
        "networks": [*study["networks"], *filter(None, own)],
        "explainers": study["explainers"],
        "segmenters": segmenters,
    }
    return {
        kind.removesuffix("s"): {name: config[kind][name]["title"] for name in of_kind}
        for kind, of_kind in chosen.items()
    }


def rows(study: dict) -> list[tuple[str, str]]:
    """Each network of a study with each explainer."""
    return list(product(study["networks"], study["explainers"]))


def examples_of(study: dict) -> str:
    """Whether a study's examples are of ``masks`` (images) or of ``maps`` (targets)."""
    return study["scores"][study["examples"]["scores"][0]]["of"]


def pictured(config: dict, study: dict, dataset: str) -> tuple[list[dict], list[dict]]:
    """Cells of the maps and of the masks that a study's examples of a data set show."""
    first = (dataset, config["seeds"][0])
    maps, masks = (
        [cell for cell in cells(config, study) if (cell["dataset"], cell["seed"]) == first]
        for cells in (studies.map_cells, studies.mask_cells)
    )
    if examples_of(study) == "maps":
        return maps, [cell for cell in masks if cell["segmenter"] == study["segmentation"]]
    role = {name: definition["role"] for name, definition in config["segmenters"].items()}
    return maps, [cell for cell in masks if role[cell["segmenter"]] in PICTURED]


def methods(config: dict, study: dict) -> dict[str, dict[str, str]]:
    """Title and role of each method of a study's examples, by path."""
    maps, masks = pictured(config, study, study["datasets"][0])
    if examples_of(study) == "masks":
        of_path = {cell["path"]: config["segmenters"][cell["segmenter"]] for cell in masks}
        return {path: {key: of[key] for key in ("title", "role")} for path, of in of_path.items()}
    said = names(config, study)
    return {
        cell["path"]: {
            "title": " ".join(said[key][cell[key]] for key in ("network", "explainer")),
            "role": "explainer",
        }
        for cell in maps
    }


def headline(config: dict, study: dict) -> str:
    """Path of the method that a study's examples are ranked by, or the first one."""
    for cell in pictured(config, study, study["datasets"][0])[1]:
        if cell["segmenter"] == study["headline"]:
            return cell["path"]
    return next(iter(methods(config, study)))


def paths(config: dict, study: dict, segmenters: list[str]) -> list[str]:
    """Paths of some segmenters among a study's methods, in their order."""
    masks = pictured(config, study, study["datasets"][0])[1]
    return [cell["path"] for name in segmenters for cell in masks if cell["segmenter"] == name]


def examples(config: dict, name: str, dataset: str) -> dict[str, list[str]]:
    """Files of a study that its examples of a data set are made of, by kind."""
    study, seed = config["studies"][name], config["seeds"][0]
    maps, masks = pictured(config, study, dataset)
    drawn = {cell["path"] for cell in masks}
    scores = [
        cell["file"]
        for family in study["examples"]["scores"]
        for cell in studies.score_cells(config, name, family)
        if (cell["dataset"], cell["seed"]) == (dataset, seed)
        and (study["scores"][family]["of"] == "maps" or cell["path"] in drawn)
    ]
    stems = {
        kind: [f"results/{kind}/{dataset}/{cell['path']}/seed-{seed}" for cell in cells]
        for kind, cells in (("maps", maps), ("masks", masks))
    }
    return {
        "targets": [f"results/targets/{dataset}/{n}/seed-{seed}.csv" for n in study["networks"]],
        "maps": [f"{stem}.npy" for stem in stems["maps"]],
        "map_rows": [f"{stem}.csv" for stem in stems["maps"]],
        "masks": [f"{stem}.npy" for stem in stems["masks"]],
        "mask_rows": [f"{stem}.csv" for stem in stems["masks"]],
        "scores": scores,
    }


def example_files(config: dict, name: str) -> dict[str, list[str]]:
    """Arrays and tables of a study's examples, in the order of its data sets."""
    study = config["studies"][name]
    chosen = study["datasets"] if study["examples"] else []
    stems = [f"results/examples/{name}/{dataset}" for dataset in chosen]
    return {"arrays": [f"{s}.npz" for s in stems], "examples": [f"{s}.csv" for s in stems]}


def trained(config: dict, study: dict) -> list[tuple[str, str]]:
    """Data set and network of everything that a study trains, each once."""
    own = [config["segmenters"][name]["network"] for name in studies.stored(config, study)]
    chosen = dict.fromkeys([*study["networks"], *filter(None, own)])
    return [
        (dataset, network)
        for dataset in study["datasets"]
        for network in chosen
        if config["networks"][network]["training"]
    ]


def page(config: dict) -> dict:
    """Everything that the page says of the run: see ``scripts/write_report.py``."""
    known, tables = {}, studies.tables(config)
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
    printed = {
        kind: {name: definition["title"] for name, definition in config[f"{kind}s"].items()}
        for kind in ("metric", "view")
    }
    for study in studies.selected(config).values():
        for kind, of_kind in names(config, study).items():
            printed[kind] = printed.get(kind, {}) | of_kind
    directions = {
        name: about("metrics", metric["method"])["direction"]
        for name, metric in config["metrics"].items()
    }
    return {
        "titles": titles(config, studies.datasets(config)),
        "names": printed,
        "seeds": config["seeds"],
        "statistics": config["statistics"],
        "tables": tables,
        "figures": studies.figures(config),
        "directions": directions | DIRECTIONS,
        "studies": known,
    }
