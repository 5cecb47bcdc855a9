"""Shared by all rules: the checked configuration, and functions for wildcards and params."""

import os
import shlex
import sys
import time
from functools import cache

from snakemake.io import contains_wildcard

from segxai.workflow import results, shown, studies
from segxai.workflow.config import job_errors, problem_of, repeated_key
from segxai.workflow.contents import file_key, folder_key
from segxai.workflow.digest import digest
from segxai.workflow.plugins import KINDS, about, network_task, resolve

STARTED = time.time()
# Jobs read and write names and texts in UTF-8, whatever the locale.
os.environ.update(PYTHONUTF8="1")
# glibc gives large arrays back to the system and fetches them anew for each batch, unless told to
# keep them: 20 to 50 % of the processor time of gradients (docs/performance.md).
for threshold in ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"):
    os.environ.setdefault(threshold, str(8 * 2**30))
# Snakemake writes the interpreter into the commands of jobs without quotes.
if Path(sys.executable).is_file():
    sys.executable = shlex.quote(sys.executable)

for file in workflow.configfiles:
    if problem := repeated_key(Path(file).read_text(encoding="utf-8")):
        raise WorkflowError(f"{file}: {problem}")
if contains_wildcard(workflow.basedir):
    raise WorkflowError(
        f"{workflow.basedir}: Snakemake takes braces around a word in this path for a wildcard; "
        "rename the folder."
    )
for place in (workflow.basedir, Path.cwd()):
    if sys.getfilesystemencoding() != "utf-8" and not str(place).isascii():
        raise WorkflowError(
            f"{place}: this path is not ASCII, and the locale is not UTF-8; set PYTHONUTF8=1 and "
            "run the same command again."
        )
if problem := problem_of(config) or results.problem(Path("results")):
    raise WorkflowError(problem)
config |= resolve(config)
# Processes of jobs read the configuration again.
if workflow.is_main_process:
    for sentence in studies.left_out(config):
        print(sentence, file=sys.stderr)

STUDIES = studies.selected(config)
DATASETS = studies.datasets(config)
TABLES = studies.tables(config)
FIGURES = studies.figures(config)
GUIDELINES = studies.guidelines(config)
# Files of the checkout stay local even if results lie in a bucket.
PUBLISHED = [
    local(f"{workflow.basedir}/config/published/{study['paper']}.csv")
    for study in STUDIES.values()
    if study["paper"]
]
# Possible parts between data set and seed in the path of a mask.
MASKS = {cell["path"] for study in STUDIES.values() for cell in studies.mask_cells(config, study)}
DEFINED = {
    kind: {name: studies.untitled(config[kind][name]) for name in config[kind]} for kind in KINDS
}


wildcard_constraints:
    dataset="|".join(config["datasets"]),
    network="|".join(config["networks"]),
    explainer="|".join(config["explainers"]),
    segmenter="|".join(config["segmenters"]),
    study="|".join(STUDIES),
    seed=r"\d+",
    shard=r"\d+",
    size=r"\d+",


def env(name):
    """Conda file of a job, as a pattern: braces in the checkout's path are not wildcards."""
    return f"{workflow.basedir}/envs/{name}.yaml".replace("{", "{{").replace("}", "}}")


def define(kind):
    """Definition that a wildcard names: one of `networks` by `network`, and so on."""
    return lambda wildcards: DEFINED[kind][wildcards[kind.removesuffix("s")]]


def dataset(key):
    """Value of one key of the wildcard's data set."""
    return lambda wildcards: config["datasets"][wildcards.dataset][key]


def of_dataset(*keys):
    """Params that are keys of the wildcard's data set."""
    return {key: dataset(key) for key in keys}


def cell(*names):
    """Keys in the tables of a job: the values of some wildcards."""
    return lambda wildcards: {name: wildcards[name] for name in names}


def network(wildcards):
    """Definition of the wildcard's network, with the training for the wildcard's data set."""
    chosen = define("networks")(wildcards)
    own = chosen["by_dataset"].get(wildcards.dataset, {})
    return chosen | {"training": chosen["training"] and chosen["training"] | own}


def code(script, *kinds):
    """Digest of a script and of the methods that the rule's wildcards name."""
    return lambda wildcards: digest(
        script, **{kind: define(kind)(wildcards)["method"] for kind in kinds}
    )


def check_code(script):
    """Digest of a script, of the wildcard's network and of the network's explainers."""

    def of(wildcards):
        explainers = studies.needs(config, *wildcards)["explainers"]
        chosen = {explainer["method"] for explainer in explainers}
        own = define("networks")(wildcards)["method"]
        return digest(script, networks=own, explainers=sorted(chosen))

    return of


def read_code(script):
    """Digest of a script and of the reader of the wildcard's data set."""
    return lambda wildcards: digest(script, datasets=dataset("reader")(wildcards))


# Inputs and params of several rules.
DATA = "results/data/{dataset}"
SAMPLES = {"samples": f"{DATA}/samples.csv"}
TRUTH = {**SAMPLES, "truth": f"{DATA}/masks.npy", "outlines": f"{DATA}/masks.csv"}
PICTURES = {"images": f"{DATA}/images.npy", "statistics": f"{DATA}/statistics.json"}
MODEL = "results/models/{dataset}/{network}/seed-{seed}"
TRAINED = {**PICTURES, "weights": f"{MODEL}/weights.safetensors", "card": f"{MODEL}/card.json"}
READER = of_dataset("reader", "options")
IMAGES = of_dataset("classes", "channels")
NETWORK = {"network": define("networks"), **IMAGES, "threads": config["threads"]["explain"]}
