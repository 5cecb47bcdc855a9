"""What people see: one page that a reviewer reads top to bottom."""

# Tuning is shown for the first seed.
TRIALS = f"results/tuning/{{dataset}}/{{variant}}/seed-{SEEDS[0]}.csv"
PARTS = ["data", "explainseg", "segx", "images"]
PAGE = ["html.j2", "css", "js", *(f"{part}.html.j2" for part in PARTS)]
DEVIATIONS = ["deviations.md"] * bool(DATASETS) + ["deviations-segx.md"] * bool(ALIGNED["datasets"])
TEXTS = [
    local(f"{workflow.basedir}/{text}")
    for text in [
        *(f"segxai/page/page.{suffix}" for suffix in PAGE),
        *(f"report/explainseg_{figure}.rst" for figure in FIGURES),
        *(f"report/{figure}.rst" for figure in SEGX_FIGURES),
        *(f"docs/{name}" for name in DEVIATIONS),
    ]
]
# Baselines that cut tokens tell of their cuts, those that are trained of their training.
CUTTERS = [name for name in BASELINES if name in TOKEN_BASELINES]
LEARNERS = {
    METHODS[name]: config["baselines"][name]["model"] for name in BASELINES if name not in CUTTERS
}
CUTS = "results/masks/{dataset}/{cutter}/seed-{seed}/{shard}.csv"
# The studies that were run.
TOLD = ["explainseg"] * bool(DATASETS) + ["segx"] * bool(ALIGNED["datasets"])
CARDS = "results/models/{dataset}/{model}/seed-{seed}/card.json"
# What the page says of the run: rows of tables, definitions of data sets and networks, settings.
SETTINGS = {key: config[key] for key in ("seeds", "segmentation", "statistics")}
EXPLAINSEG_DESCRIBED = {
    "titles": TITLES,
    "roles": ROLES,
    "ours": OURS,
    "coarse": list(COARSE.values()),
    "cutters": {
        METHODS[name]: {"trained": config["baselines"][name]["model"] in TRAINED_MODELS}
        | config["baselines"][name]
        for name in CUTTERS
    },
    "learners": list(LEARNERS),
    "datasets": {name: config["datasets"][name] for name in DATASETS},
    "settings": SETTINGS,
}
DESCRIBED = EXPLAINSEG_DESCRIBED | {
    "titles": ALL_TITLES,
    "methods": METHODS,
    "pictured": PICTURED,
    "headline": HEADLINE,
    "rows": ALIGNED_ROWS,
    # The order of the examples.
    "pictures": {"explainseg": DATASETS, "segx": ALIGNED["datasets"]},
    "networks": {row: network["architecture"] for row, network in NETWORKS.items()},
    "explainer": config["explainers"][STUDY["explainer"]],
}
SEGX_DESCRIBED = {
    "titles": ALIGNED_TITLES,
    "datasets": {name: config["datasets"][name] for name in ALIGNED_TITLES},
    "explainers": {name: config["explainers"][name] for name in ALIGNED["explainers"]},
    "mask_scope": ALIGNED["mask_scope"],
    "seeds": SEEDS,
}


rule tell_segx:
    """What the page says of SegX and SegU: sentences and arranged tables, made of their tables."""
    input:
        tables=collect("results/tables/{table}.csv", table=SEGX_TABLES),
        tests=collect("results/tables/{table}_tests.csv", table=SEGX_PUBLISHED),
        claims="results/tables/claims.csv",
        data=collect("results/data/{x}/{y}.csv", x=ALIGNED_TITLES, y=["samples", "rejected"]),
        cards=collect(
            CARDS,
            dataset=ALIGNED_TITLES,
            model=[*ALIGNED["models"], ALIGNED["segmenter"]],
            seed=SEEDS,
        ),
    output:
        told="results/report/segx.json",
    log:
        "logs/tell_segx.log",
    benchmark:
        "benchmarks/tell_segx.tsv"
    conda:
        "../envs/report.yaml"
    params:
        study=SEGX_DESCRIBED,
        code=source_digest("tell_segx"),
    script:
        "../scripts/tell_segx.py"


rule tell_explainseg:
    """What the page says of ExplainSeg: sentences and tables made of its tables, what was run."""
    input:
        tables=collect("results/tables/{table}.csv", table=TABLES),
        tests=collect("results/tables/{table}_tests.csv", table=TABLES),
        claims="results/tables/claims.csv",
        data=collect("results/data/{dataset}/{x}.csv", dataset=DATASETS, x=["samples", "rejected"]),
        cards=collect(f"{MODEL}/card.json", dataset=DATASETS, seed=SEEDS),
        baseline_cards=collect(CARDS, dataset=DATASETS, model=LEARNERS.values(), seed=SEEDS),
        facts=collect(f"{MAPS}/{{shard}}.csv", dataset=DATASETS, seed=SEEDS, shard=SHARDS),
        cuts=collect(CUTS, dataset=DATASETS, cutter=CUTTERS, seed=SEEDS, shard=SHARDS),
        trials=collect(TRIALS, dataset=DATASETS, variant=VARIANTS),
    output:
        told="results/report/explainseg.json",
    log:
        "logs/tell_explainseg.log",
    benchmark:
        "benchmarks/tell_explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        study=EXPLAINSEG_DESCRIBED,
        code=source_digest("tell_explainseg"),
    script:
        "../scripts/tell_explainseg.py"


rule write_report:
    """One self-contained page: what was run, what came out, and every image behind it."""
    input:
        tables=collect("results/tables/{table}.csv", table=["dataset_summary", *INSTANCE_TABLES]),
        claims="results/tables/claims.csv",
        told=collect("results/report/{study}.json", study=TOLD),
        examples=[
            *collect(f"{EXAMPLES}.{{suffix}}", dataset=DATASETS, suffix=["npz", "csv"]),
            *collect(f"{PREDICTED}.{{suffix}}", dataset=ALIGNED_TITLES, suffix=["npz", "csv"]),
        ],
        figures=collect("results/figures/explainseg_{figure}.png", figure=FIGURES),
        segx_figures=collect("results/figures/{figure}.png", figure=SEGX_FIGURES),
        texts=TEXTS,
    output:
        page="results/report.html",
    log:
        "logs/write_report.log",
    benchmark:
        "benchmarks/write_report.tsv"
    conda:
        "../envs/report.yaml"
    params:
        study=DESCRIBED,
        code=source_digest("write_report"),
    script:
        "../scripts/write_report.py"
