"""What all rules share: the checked configuration and the names that wildcards may take."""

import sys
import time
from itertools import product
from types import SimpleNamespace

import yaml

from segxai.workflow.config import config_problem, job_errors, selection_problem
from segxai.workflow.digest import source_digest
from segxai.workflow.yaml_keys import repeated_key

STARTED = time.time()

SCHEMA = Path(workflow.basedir, "config/schemas/config.schema.yaml").read_text()
for file in workflow.configfiles:
    if problem := repeated_key(Path(file).read_text(encoding="utf-8")):
        raise WorkflowError(f"{file}: {problem}")
if problem := config_problem(config, yaml.safe_load(SCHEMA)) or selection_problem(config):
    raise WorkflowError(problem)

STUDY = config["explainseg"]
VARIANTS, CONTROLS, BASELINES = STUDY["variants"], STUDY["controls"], STUDY["baselines"]
# A refined mask is the paper's method, its coarse mask a row of its own.
REFINED = [f"{variant}-crf" for variant in VARIANTS]
# The variant that Table 2 compares with the baselines.
HEADLINE = REFINED[-1]
SEGMENTERS = [*VARIANTS, *REFINED, *CONTROLS, *config["baselines"], config["segx"]["segmenter"]]
TOKEN_BASELINES = [name for name, one in config["baselines"].items() if "features" in one]
TRAINED_MODELS = [name for name, model in config["models"].items() if model["training"]]
MASK_MODELS = [name for name in TRAINED_MODELS if config["models"][name]["architecture"] == "unet"]
CLASSIFIERS = [name for name in TRAINED_MODELS if name not in MASK_MODELS]
SHARDS = range(config["shards"])
MODEL = f"results/models/{{dataset}}/{STUDY['model']}/seed-{{seed}}"
MAPS = f"results/maps/{{dataset}}/{STUDY['model']}/{STUDY['explainer']}/seed-{{seed}}"
# What an explanation of a classifier's predictions needs.
PREDICTED = {
    "samples": "results/data/{dataset}/samples.csv",
    "images": "results/data/{dataset}/images.npy",
    "statistics": "results/data/{dataset}/statistics.json",
    "weights": "results/models/{dataset}/{model}/seed-{seed}/weights.safetensors",
    "predictions": "results/predictions/{dataset}/{model}/seed-{seed}.csv",
}
OVERLAP = "results/scores/overlap/{dataset}/{segmenter}/seed-{seed}.csv"
FEATURES = f"results/features/{{dataset}}/{STUDY['model']}/seed-{{seed}}"
# Printed name of each method. Its role gives it its colour in every figure.
METHODS = {f"{name}-crf": config["segmenters"][name]["row"] for name in VARIANTS}
METHODS |= {name: config["baselines"][name]["row"] for name in BASELINES}
METHODS |= {name: config["segmenters"][name]["row"] for name in CONTROLS}
ROLES = {
    "variants": [METHODS[name] for name in REFINED],
    "baselines": [METHODS[name] for name in BASELINES],
    "controls": [METHODS[name] for name in CONTROLS],
}
TITLES = {name: config["datasets"][name]["title"] for name in STUDY["datasets"]}
ALIGNED = config["segx"]
# Rows of Tables 3 and 4: each explainer of each classifier.
EXPLAINED = list(product(ALIGNED["models"], ALIGNED["explainers"]))
ALIGNED_ROWS = [f"{model} {explainer}" for model, explainer in EXPLAINED]
ALIGNED_TITLES = {name: config["datasets"][name]["title"] for name in ALIGNED["datasets"]}
UNET = ALIGNED["segmenter"]
SHORTCUTS = [
    name for name in ALIGNED["datasets"] if config["datasets"][name]["source"].get("shortcut")
]
# The data sets of both studies.
ALL_TITLES = TITLES | ALIGNED_TITLES
# Files of the checkout are here even if results lie in a bucket.
PUBLISHED = local(f"{workflow.basedir}/config/published.csv")
OFFICIAL = local(f"{workflow.basedir}/config/official_counts.csv")


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    model="|".join(TRAINED_MODELS),
    explainer="|".join(config["explainers"]),
    segmenter="|".join(SEGMENTERS),
    seed=r"\d+",
    shard=r"\d+",


def scores(rows, files=OVERLAP, datasets=STUDY["datasets"]):
    """Score files of some segmenters, each with its cell: data set and row of a table."""
    return {
        files.format(dataset=dataset, segmenter=segmenter, seed=seed): (dataset, row)
        for dataset in datasets
        for segmenter, row in rows.items()
        for seed in config["seeds"]
    }


def aligned(kind, datasets=ALIGNED["datasets"]):
    """Files of one kind of SegX scores, each with its cell: data set and row of a table."""
    return {
        f"results/scores/{kind}/{dataset}/{model}/{explainer}/seed-{seed}.csv": (
            dataset,
            f"{model} {explainer}",
        )
        for dataset in datasets
        for model, explainer in EXPLAINED
        for seed in config["seeds"]
    }


def shown(caption, what, kind, category="ExplainSeg"):
    """How Snakemake's own report shows a table or a figure."""
    labels = {"shows": what, "as": kind}
    return {"caption": f"../report/{caption}.rst", "category": category, "labels": labels}
