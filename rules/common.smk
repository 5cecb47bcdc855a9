"""What all rules share: the checked configuration, and what wildcards and params are made of."""

import sys
import time

from segxai.workflow import results, shown, studies
from segxai.workflow.config import job_errors, problem_of, repeated_key
from segxai.workflow.digest import digest
from segxai.workflow.plugins import about, resolve

STARTED = time.time()

for file in workflow.configfiles:
    if problem := repeated_key(Path(file).read_text(encoding="utf-8")):
        raise WorkflowError(f"{file}: {problem}")
if problem := problem_of(config) or results.problem(Path("results")):
    raise WorkflowError(problem)
config |= resolve(config)

STUDIES = studies.selected(config)
DATASETS = studies.datasets(config)
TABLES = studies.tables(config)
FIGURES = studies.figures(config)
# Files of the checkout are here even if results lie in a bucket.
PUBLISHED = [
    local(f"{workflow.basedir}/config/published/{study['paper']}.csv")
    for study in STUDIES.values()
    if study["paper"]
]
# What may stand between a data set and a seed in the path of a mask.
MASKS = {cell["path"] for study in STUDIES.values() for cell in studies.mask_cells(config, study)}


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    network="|".join(config["networks"]),
    explainer="|".join(config["explainers"]),
    segmenter="|".join(config["segmenters"]),
    study="|".join(STUDIES),
    seed=r"\d+",
    shard=r"\d+",


def define(kind):
    """Definition of what a wildcard names: one of `networks` by `network`, and so on."""
    return lambda wildcards: untitled(config[kind][wildcards[kind.removesuffix("s")]])


def untitled(definition):
    """A definition without what only tables and figures need: another title reruns no job."""
    return {key: value for key, value in definition.items() if key not in ("title", "role")}


def dataset(key):
    """Value of one key of the wildcard's data set."""
    return lambda wildcards: config["datasets"][wildcards.dataset][key]


def network(wildcards):
    """Definition of the wildcard's network, trained as the wildcard's data set asks."""
    chosen = define("networks")(wildcards)
    own = chosen["by_dataset"].get(wildcards.dataset, {})
    return chosen | {"training": chosen["training"] and chosen["training"] | own}


def code(script, *kinds):
    """Digest of a script and of the methods that the rule's wildcards name."""

    def of_job(wildcards):
        return digest(script, **{kind: define(kind)(wildcards)["method"] for kind in kinds})

    return of_job


def reads(wildcards):
    """What the wildcard's data set is read by: its reader, with its options."""
    chosen = config["datasets"][wildcards.dataset]
    return {"reader": chosen["reader"], "options": chosen["options"]}


def read_code(script):
    """Digest of a script and of the reader of the wildcard's data set."""
    return lambda wildcards: digest(script, datasets=dataset("reader")(wildcards))
