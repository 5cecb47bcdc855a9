"""Single objects, such as nuclei: their truth, their scores, and the table of them."""

# The data sets whose objects are scored, and the table of their scores.
COUNTED = [name for name in STUDY["datasets"] if config["datasets"][name].get("instances")]
INSTANCE_TABLES = ["explainseg_instances"] if COUNTED else []
INSTANCES = "results/scores/instances/{dataset}/{segmenter}/seed-{seed}.csv"
# All rows of Tables 1 and 2.
INSTANCE_ROWS = METHODS | COARSE


rule prepare_instances:
    """The number of each true object in its pixels, and how many objects each image has."""
    input:
        receipt="results/raw/{dataset}.json",
        samples="results/data/{dataset}/samples.csv",
        masks="results/data/{dataset}/masks.npy",
    output:
        instances="results/data/{dataset}/instances.npy",
        facts="results/data/{dataset}/instances.csv",
    log:
        "logs/prepare_instances/{dataset}.log",
    benchmark:
        "benchmarks/prepare_instances/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    params:
        reader=lookup("datasets/{dataset}/reader", within=config),
        analysis_size=lookup("datasets/{dataset}/analysis_size", within=config),
        code=source_digest("prepare_instances"),
    script:
        "../scripts/prepare_instances.py"


rule score_instances:
    """AJI and panoptic quality of each mask's components, one row per explained image."""
    input:
        samples="results/data/{dataset}/samples.csv",
        truth="results/data/{dataset}/instances.npy",
        facts="results/data/{dataset}/instances.csv",
        masks=collect(
            "results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy",
            shard=SHARDS,
            allow_missing=True,
        ),
    output:
        scores=INSTANCES,
    log:
        "logs/score_instances/{dataset}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_instances/{dataset}/{segmenter}/seed-{seed}.tsv"
    conda:
        "../envs/segment.yaml"
    params:
        selection=all_selected,
        code=source_digest("score_instances"),
    script:
        "../scripts/score_instances.py"


rule make_instances_table:
    """AJI and panoptic quality of every row of Tables 1 and 2, with intervals."""
    input:
        scores=list(scores(INSTANCE_ROWS, INSTANCES, COUNTED)),
        published=PUBLISHED,
    output:
        csv=report(
            "results/tables/explainseg_instances.csv",
            **shown("explainseg_instances", "single objects", "table"),
        ),
        md="results/tables/explainseg_instances.md",
        tex="results/tables/explainseg_instances.tex",
    log:
        "logs/make_instances_table.log",
    benchmark:
        "benchmarks/make_instances_table.tsv"
    conda:
        "../envs/report.yaml"
    params:
        cells=list(scores(INSTANCE_ROWS, INSTANCES, COUNTED).values()),
        titles=TITLES,
        statistics=config["statistics"],
        code=source_digest("make_instances_table"),
    script:
        "../scripts/make_instances_table.py"
