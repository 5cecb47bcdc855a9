"""Scores per image, tables with intervals and tests, and the verdict on published numbers."""

TABLES = {
    table: {
        "caption": f"../report/{table}.rst",
        "category": "ExplainSeg",
        "labels": {"shows": shows, "as": "table"},
    }
    for table, shows in {
        "explainseg_ablation": "Table 1",
        "explainseg_tests": "paired tests",
        "claims": "published numbers",
    }.items()
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
        scores="results/scores/overlap/{dataset}/{segmenter}/seed-{seed}.csv",
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
    """Table 1 with intervals, split by train and validation, and paired tests."""
    input:
        scores=[path for path, _, _ in SCORES],
        published=PUBLISHED,
    output:
        csv=report("results/tables/explainseg_ablation.csv", **TABLES["explainseg_ablation"]),
        md="results/tables/explainseg_ablation.md",
        tex="results/tables/explainseg_ablation.tex",
        tests=report("results/tables/explainseg_tests.csv", **TABLES["explainseg_tests"]),
    log:
        "logs/make_tables.log",
    benchmark:
        "benchmarks/make_tables.tsv"
    conda:
        "../envs/report.yaml"
    params:
        scores=SCORES,
        rows=ROWS,
        tested=[ROWS[name] for name in TESTED],
        titles=TITLES,
        statistics=config["statistics"],
        code=source_digest("make_tables"),
    script:
        "../scripts/make_tables.py"


rule check_claims:
    """Every published number beside ours: reproduced, differs, or not comparable and why."""
    input:
        tables=["results/tables/explainseg_ablation.csv"],
        cards=collect(f"{MODEL}/card.json", dataset=STUDY["datasets"], seed=config["seeds"][0]),
        samples=collect("results/data/{dataset}/samples.csv", dataset=STUDY["datasets"]),
        published=PUBLISHED,
    output:
        claims=report("results/tables/claims.csv", **TABLES["claims"]),
    log:
        "logs/check_claims.log",
    benchmark:
        "benchmarks/check_claims.tsv"
    conda:
        "../envs/report.yaml"
    params:
        datasets=STUDY["datasets"],
        code=source_digest("check_claims"),
    script:
        "../scripts/check_claims.py"
