"""What people see: one page that a reviewer reads top to bottom."""

# Tuning is shown for the first seed.
TRIALS = f"results/tuning/{{dataset}}/{{variant}}/seed-{SEEDS[0]}.csv"
TEXTS = [
    *(f"{workflow.basedir}/segxai/report/page.{suffix}" for suffix in ("html.j2", "css", "js")),
    *(f"{workflow.basedir}/report/explainseg_{figure}.rst" for figure in FIGURES),
    *map(str, Path(workflow.basedir, "docs").glob("deviations.md")),
]
# Baselines that cut tokens tell of their cuts, those that are trained of their training.
CUTTERS = [name for name in BASELINES if name in TOKEN_BASELINES]
LEARNERS = {
    METHODS[name]: config["baselines"][name]["model"] for name in BASELINES if name not in CUTTERS
}
CUTS = "results/masks/{dataset}/{cutter}/seed-{seed}/{shard}.csv"
CARDS = "results/models/{dataset}/{model}/seed-{seed}/card.json"
# What the page says of the run: rows of tables, definitions of data sets and networks, settings.
DESCRIBED = {
    "titles": TITLES,
    "methods": METHODS,
    "roles": ROLES,
    "pictured": PICTURED,
    "headline": HEADLINE,
    "ours": OURS,
    "coarse": list(COARSE.values()),
    "cutters": {
        METHODS[name]: {"trained": config["baselines"][name]["model"] in TRAINED_MODELS}
        | config["baselines"][name]
        for name in CUTTERS
    },
    "learners": list(LEARNERS),
    "networks": {row: network["architecture"] for row, network in NETWORKS.items()},
    "datasets": {name: config["datasets"][name] for name in DATASETS},
    "explainer": config["explainers"][STUDY["explainer"]],
    "settings": {key: config[key] for key in ("seeds", "segmentation", "statistics")},
}


rule write_report:
    """One self-contained page: what was run, what came out, and every image behind it."""
    input:
        tables=collect("results/tables/{table}.csv", table=TABLES),
        tests=collect("results/tables/{table}_tests.csv", table=TABLES),
        claims="results/tables/claims.csv",
        figures=collect("results/figures/explainseg_{figure}.png", figure=FIGURES),
        data=collect("results/data/{dataset}/{x}.csv", dataset=DATASETS, x=["samples", "rejected"]),
        cards=collect(f"{MODEL}/card.json", dataset=DATASETS, seed=SEEDS),
        baseline_cards=collect(CARDS, dataset=DATASETS, model=LEARNERS.values(), seed=SEEDS),
        facts=collect(f"{MAPS}/{{shard}}.csv", dataset=DATASETS, seed=SEEDS, shard=SHARDS),
        cuts=collect(CUTS, dataset=DATASETS, cutter=CUTTERS, seed=SEEDS, shard=SHARDS),
        trials=collect(TRIALS, dataset=DATASETS, variant=VARIANTS),
        examples=collect(f"{EXAMPLES}.{{suffix}}", dataset=DATASETS, suffix=["npz", "csv"]),
        texts=TEXTS,
    output:
        page="results/report.html",
    log:
        "logs/write_report/explainseg.log",
    benchmark:
        "benchmarks/write_report/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        study=DESCRIBED,
        code=source_digest("write_report"),
    script:
        "../scripts/write_report.py"
