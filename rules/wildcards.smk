"""What a rule looks up in the configuration for the names that its wildcards take."""


def dataset(key):
    """Value of one key of the wildcard's data set."""
    return lambda wildcards: config["datasets"][wildcards.dataset][key]


def series_tables(wildcards):
    """Lists of the series of a data set that lies in a bucket; they come with the workflow."""
    files = config["datasets"][wildcards.dataset]["source"].get("series", [])
    return [local(str(Path(workflow.basedir, file))) for file in files]


def fetched(wildcards):
    """Which images are fetched from a bucket; None for data sets that come whole."""
    chosen = config["datasets"][wildcards.dataset]
    keys = ("max_images", "split")
    return {key: chosen[key] for key in keys} if "bucket" in chosen["source"] else None


def windows(wildcards):
    """Windows per side in which an image is explained: 1 explains it whole."""
    chosen = config["datasets"][wildcards.dataset]
    return chosen["patches"]["grid"] if chosen["explain_on"] == "patches" else 1


def selection(wildcards):
    """Which images are explained: arguments of `segxai.datasets.samples.explained_rows`."""
    chosen = config["datasets"][wildcards.dataset]
    return {
        "split": chosen["explained_split"],
        "count": chosen["explained_images"],
        "seed": chosen["split"]["seed"],
        "shards": config["shards"],
    }


def all_selected(wildcards):
    """The explained images of all shards together."""
    return selection(wildcards) | {"shards": 1}


def model(wildcards):
    """Definition of the wildcard's model, trained as the wildcard's data set asks."""
    chosen = config["models"][wildcards.model]
    own = chosen.get("by_dataset", {}).get(wildcards.dataset, {})
    return chosen | {"training": chosen["training"] | own}


def precision_check(wildcards):
    """What was found on arithmetic that an explainer asks for; none where it asks for exact."""
    asked = config["explainers"][wildcards.explainer]
    if asked["precision"] == "float32" and not asked["compiled"]:
        return []
    return "results/precision/{dataset}/{model}/{explainer}/seed-{seed}.json".format(**wildcards)


def segmenter(key):
    """Value of one key of the wildcard's segmenter."""
    return lambda wildcards: config["segmenters"][wildcards.segmenter][key]


def feature_maps(wildcards):
    """Feature maps of a segmenter that fuses them with the relevance; none for the others."""
    if config["segmenters"][wildcards.segmenter]["source"] != "fusion":
        return []
    return collect(
        f"{FEATURES}/{{shard}}.npy",
        dataset=wildcards.dataset,
        seed=wildcards.seed,
        shard=wildcards.get("shard", SHARDS),
    )


def token_model(wildcards):
    """Definition of the network whose keys a baseline cuts."""
    return config["models"][config["baselines"][wildcards.segmenter]["model"]]


def trained_body(wildcards):
    """Weights and channel statistics of a network trained here; none of one used as published."""
    model = config["baselines"][wildcards.segmenter]["model"]
    if model not in TRAINED_MODELS:
        return []
    return collect(
        [
            f"results/models/{{dataset}}/{model}/seed-{{seed}}/weights.safetensors",
            "results/data/{dataset}/statistics.json",
        ],
        dataset=wildcards.dataset,
        seed=wildcards.seed,
    )
