"""Scores per image, tables with intervals and tests, and the verdict on published numbers."""

from itertools import combinations

COARSE = {name: f"{METHODS[f'{name}-crf']}, before CRF" for name in VARIANTS}
# Table 2 calls ExplainSeg by the first word of its row in Table 1.
OURS = f"ExplainSeg ({METHODS[HEADLINE].split()[0]})"
TABLE_1 = {name: METHODS[name] for name in [*REFINED, *CONTROLS]}
TABLE_2 = {name: METHODS[name] for name in [*BASELINES, *CONTROLS]}
# Of each table its number in the paper, the row of each segmenter, and the pairs that are tested.
TABLES = {
    "explainseg_ablation": {
        "number": "1",
        "rows": TABLE_1 | COARSE,
        "pairs": list(combinations(TABLE_1.values(), 2)),
    },
    "explainseg_baselines": {
        "number": "2",
        "rows": {HEADLINE: OURS, **TABLE_2},
        "pairs": [(OURS, other) for other in TABLE_2.values()],
    },
}
# Without a data set there is no table.
if not STUDY["datasets"]:
    TABLES = {}
# The classifier or body behind each row.
NETWORKS = {row: config["models"][STUDY["model"]] for row in [*TABLE_1.values(), OURS]}
for name in BASELINES:
    NETWORKS[METHODS[name]] = config["models"][config["baselines"][name]["model"]]
# Tables with published numbers, and what says how much of each data set they are of.
CLAIMED = [*TABLES, *SEGX_PUBLISHED, "dataset_summary"]
SUBSETS = {
    name: {
        key: config["datasets"][name][key]
        for key in ("max_images", "explained_split", "explained_images")
    }
    for name in [*STUDY["datasets"], *ALIGNED["datasets"]]
}


rule score_masks:
    """Overlap of each mask of a segmenter with the ground truth, one row per image."""
    input:
        samples="results/data/{dataset}/samples.csv",
        truth="results/data/{dataset}/masks.npy",
        masks=collect(
            "results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy",
            shard=SHARDS,
            allow_missing=True,
        ),
    output:
        scores=OVERLAP,
    log:
        "logs/score_masks/{dataset}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_masks/{dataset}/{segmenter}/seed-{seed}.tsv"
    conda:
        "../envs/segment.yaml"
    params:
        selection=all_selected,
        code=source_digest("score_masks"),
    script:
        "../scripts/score_masks.py"


rule make_tables:
    """Table 1 or 2 with intervals, split by train and validation, and its paired tests."""
    input:
        scores=lambda wildcards: list(scores(TABLES[wildcards.table]["rows"])),
        published=PUBLISHED,
    output:
        csv=report("results/tables/{table}.csv", **shown("explainseg_means", "{table}", "table")),
        md="results/tables/{table}.md",
        tex="results/tables/{table}.tex",
        tests=report(
            "results/tables/{table}_tests.csv",
            **shown("explainseg_tests", "{table}, tests", "table"),
        ),
    log:
        "logs/make_tables/{table}.log",
    benchmark:
        "benchmarks/make_tables/{table}.tsv"
    wildcard_constraints:
        table="explainseg_ablation|explainseg_baselines",
    conda:
        "../envs/report.yaml"
    params:
        cells=lambda wildcards: list(scores(TABLES[wildcards.table]["rows"]).values()),
        number=lambda wildcards: TABLES[wildcards.table]["number"],
        pairs=lambda wildcards: TABLES[wildcards.table]["pairs"],
        titles=TITLES,
        statistics=config["statistics"],
        code=source_digest("make_tables"),
    script:
        "../scripts/make_tables.py"


rule check_claims:
    """Every published number beside ours: reproduced, differs, or not comparable and why."""
    input:
        tables=collect("results/tables/{table}.csv", table=CLAIMED),
        samples=collect("results/data/{dataset}/samples.csv", dataset=SUBSETS),
        rejected=collect("results/data/{dataset}/rejected.csv", dataset=SUBSETS),
        published=PUBLISHED,
    output:
        claims=report("results/tables/claims.csv", **shown("claims", "published numbers", "table")),
    log:
        "logs/check_claims.log",
    benchmark:
        "benchmarks/check_claims.tsv"
    conda:
        "../envs/report.yaml"
    params:
        subsets=SUBSETS,
        networks=NETWORKS | SEGX_NETWORKS,
        code=source_digest("check_claims"),
    script:
        "../scripts/check_claims.py"
