"""What jobs take as inputs and params where it follows from what their wildcards name."""


def series_tables(wildcards):
    """Lists of the series of a data set that lies in a bucket; they come with the workflow."""
    files = dataset("source")(wildcards).get("series", [])
    return [local(str(Path(workflow.basedir, file))) for file in files]


def fetched(wildcards):
    """Which images are fetched from a bucket; None for data sets that come whole."""
    chosen = config["datasets"][wildcards.dataset]
    keys = ("max_images", "split")
    return {key: chosen[key] for key in keys} if "bucket" in chosen["source"] else None


def learnt_from(wildcards):
    """What a network learns from: labelled patches, or masks with their index."""
    folder = f"results/data/{wildcards.dataset}"
    if about("networks", define("networks")(wildcards)["method"])["task"] == "classify":
        return {"patches": f"{folder}/patches.csv"}
    return {"truth": f"{folder}/masks.npy", "outlines": f"{folder}/masks.csv"}


def precision_check(wildcards):
    """Whether reduced precision keeps the maps; none where an explainer asks for float32."""
    if define("explainers")(wildcards)["precision"] == "float32":
        return []
    return "results/precision/{dataset}/{network}/{explainer}/seed-{seed}.json".format(**wildcards)


def shards(pattern):
    """Files of all shards of the wildcard's data set, in order."""

    def of_cell(wildcards):
        numbers = range(studies.n_shards(config, wildcards.dataset))
        return collect(pattern, **dict(wildcards.items()), shard=numbers)

    return of_cell


def view_of(wildcards):
    """Definition of the view that the wildcard's segmenter cuts, or whose cut it refines."""
    chosen = define("segmenters")(wildcards)
    cut = config["segmenters"][chosen["of"]] if chosen["of"] else chosen
    return untitled(config["views"][cut["view"]])


def mapped(wildcards):
    """The attributions of a cell, with the features that its segmenter's view fuses them with."""
    cell = "{dataset}/{network}/{explainer}/seed-{seed}".format(**wildcards)
    files = {"maps": f"results/maps/{cell}.npy", "rows": f"results/maps/{cell}.csv"}
    network = "{dataset}/{network}/seed-{seed}".format(**wildcards)
    files["targets"] = f"results/targets/{network}.csv"
    if "features" in about("views", view_of(wildcards)["method"])["reads"]:
        files["features"] = f"results/features/{network}.npy"
        files["chosen"] = f"results/targets/{wildcards.dataset}/images.csv"
    return files


def cut_from(wildcards):
    """The masks that a segmenter refines, with the settings that they were cut by."""
    of = define("segmenters")(wildcards)["of"]
    if not of:
        return {}
    cell = "{dataset}/{network}/{explainer}/{of}/seed-{seed}".format(of=of, **wildcards)
    return {"coarse": f"results/masks/{cell}.npy", "coarse_settings": f"results/tuning/{cell}.json"}


def asked(wildcards):
    """What a network needs that was trained here, and its predictions where they are explained."""
    if not define("networks")(wildcards)["training"]:
        return {}
    cell = "{dataset}/{network}/seed-{seed}".format(**wildcards)
    files = {
        "weights": f"results/models/{cell}/weights.safetensors",
        "card": f"results/models/{cell}/card.json",
        "statistics": f"results/data/{wildcards.dataset}/statistics.json",
    }
    if "levels" in about("segmenters", define("segmenters")(wildcards)["method"])["reads"]:
        files["predictions"] = f"results/predictions/{cell}.csv"
    return files


def segment_code(script):
    """Digest of a script, of the wildcard's segmenter and of its view."""
    return lambda wildcards: digest(
        script,
        segmenters=define("segmenters")(wildcards)["method"],
        views=view_of(wildcards)["method"],
    )


def families(kind):
    """Names of the score files of maps or of masks."""
    scores = [study["scores"] for study in STUDIES.values()]
    return {name for some in scores for name, family in some.items() if family["of"] == kind}


def study_of(wildcards):
    """The study that a family of scores is declared by."""
    return next(study for study in STUDIES.values() if wildcards.family in study["scores"])


def requested(wildcards):
    """What a score file holds of each target or mask."""
    path = wildcards.get("path") or f"{wildcards.network}/{wildcards.explainer}"
    return studies.requests(config, wildcards.family, wildcards.dataset, path)


def compared(wildcards):
    """What maps are compared with beside the truth: a segmentation, a planted marker."""
    study, files = study_of(wildcards), {}
    if of := study["segmentation"]:
        path = studies.mask_path(config, study, of, wildcards.network, wildcards.explainer)
        stem = f"results/masks/{wildcards.dataset}/{path}/seed-{wildcards.seed}"
        files = {"segmentation": f"{stem}.npy", "segmentation_rows": f"{stem}.csv"}
    if any(request["reference"] == "marker" for request in requested(wildcards)):
        files["markers"] = f"results/data/{wildcards.dataset}/markers.npy"
    return files


def scope_of(wildcards):
    """Whether the study's segmentation is of all findings of an image or of one class."""
    of = study_of(wildcards)["segmentation"]
    return config["networks"][config["segmenters"][of]["network"]]["scope"] if of else "union"


def labels_of(wildcards):
    """The only labels that a family is about; None for all."""
    if study_of(wildcards)["scores"][wildcards.family].get("needs") != "shortcut":
        return None
    return [dataset("source")(wildcards)["shortcut"]["class"]]


def masks_compared(wildcards):
    """What masks are compared with beside the truth: their targets, single objects."""
    files, names = {}, studies.keys(config, wildcards.path)
    if names["explainer"]:
        cell = f"{wildcards.dataset}/{names['network']}/seed-{wildcards.seed}"
        files["targets"] = f"results/targets/{cell}.csv"
    if any(request["reference"] == "instances" for request in requested(wildcards)):
        stem = f"results/data/{wildcards.dataset}/instances"
        files |= {"instances": f"{stem}.npy", "instance_facts": f"{stem}.csv"}
    return files


def score_code(script):
    """Digest of a script and of the metrics, views and segmenters that a score file asks for."""

    def of_job(wildcards):
        chosen = requested(wildcards)
        return digest(
            script,
            metrics=[request["metric"]["method"] for request in chosen],
            views=[request["view"]["method"] for request in chosen if request["view"]],
            # Only damaged true masks are made by the job itself.
            segmenters=[
                request["segmenter_definition"]["method"]
                for request in chosen
                if request["segmenter"] and "truth" in studies.reads(config, request["segmenter"])
            ],
        )

    return of_job


def own_selections(wildcards):
    """Which images of each data set the study of a table is about."""
    spec = TABLES[wildcards.table]
    alone = {**config, "run": [spec["study"]]}
    return {name: studies.selections(alone, name) for name in spec["datasets"]}


def study_with(wildcards):
    """The study that a figure or a table is declared by."""
    made = FIGURES[wildcards.figure] if "figure" in wildcards.keys() else TABLES[wildcards.table]
    return STUDIES[made["study"]]


def titles(wildcards):
    """Printed names of the data sets of a figure or a table."""
    return shown.titles(config, study_with(wildcards)["datasets"])


def pictures(wildcards):
    """The examples of the study that a figure is declared by."""
    return shown.example_files(config, FIGURES[wildcards.figure]["study"])


def of_kind(kind):
    """Names of the figures of a kind, as a pattern; one that no name fits if there are none."""
    return "|".join(name for name, spec in FIGURES.items() if spec["kind"] == kind) or "none^"


def drawn(kind):
    """How Snakemake's own report shows a figure of a kind."""
    return {
        "caption": f"../report/{kind}.rst",
        "category": lambda wildcards: study_with(wildcards)["title"],
        "labels": {"shows": "{figure}", "as": "figure"},
    }


def printed(caption):
    """How Snakemake's own report shows a table, or its tests."""
    return {
        "caption": f"../report/{caption}.rst",
        "category": lambda wildcards: study_with(wildcards)["title"],
        "labels": {"shows": "{table}", "as": caption},
    }


def of_example(value):
    """A param of the examples of a study and a data set, from what the study declares."""
    return lambda wildcards: value(STUDIES[wildcards.study], wildcards.dataset)


example_params = {
    "map_paths": of_example(lambda s, d: [c["path"] for c in shown.pictured(config, s, d)[0]]),
    "mask_paths": of_example(lambda s, d: [c["path"] for c in shown.pictured(config, s, d)[1]]),
    "of": of_example(lambda s, d: shown.examples_of(s)),
    "spec": of_example(lambda s, d: s["examples"]),
    "headline": of_example(lambda s, d: shown.headline(config, s)),
}
