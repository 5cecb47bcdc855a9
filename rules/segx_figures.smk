"""Figures of SegX and SegU: examples of maps, risk and coverage, doses, training curves."""

SEGX_FIGURES = ["segx_examples", "segu_risk_coverage", "segx_doses", "segx_training"]
if not ALIGNED["datasets"]:
    SEGX_FIGURES = []
# Of the first classifier and the first seed, for each data set in turn.
SHOWN = f"{{dataset}}/{ALIGNED['models'][0]}/{{explainer}}/seed-{SEEDS[0]}"
EXAMPLES_OF = {"dataset": ALIGNED["datasets"], "explainer": ALIGNED["explainers"]}
SEGMENTATIONS = f"results/masks/{{dataset}}/{ALIGNED['segmenter']}/seed-{SEEDS[0]}/{{shard}}.npy"
LEARNT = list(product(ALIGNED["datasets"], [*ALIGNED["models"], ALIGNED["segmenter"]]))


rule draw_segx_examples:
    """Original explanations beside those of SegX, for right predictions and a sure error."""
    input:
        samples=collect("results/data/{dataset}/samples.csv", dataset=ALIGNED["datasets"]),
        images=collect("results/data/{dataset}/images.npy", dataset=ALIGNED["datasets"]),
        truth=collect("results/data/{dataset}/masks.npy", dataset=ALIGNED["datasets"]),
        maps=collect(f"results/maps/{SHOWN}/{{shard}}.npy", **EXAMPLES_OF, shard=SHARDS),
        masks=collect(SEGMENTATIONS, dataset=ALIGNED["datasets"], shard=SHARDS),
        scores=collect(f"results/scores/segx/{SHOWN}.csv", **EXAMPLES_OF),
    output:
        png=report(
            "results/figures/segx_examples.png",
            **shown("segx_examples", "examples", "figure", category="SegX"),
        ),
        pdf="results/figures/segx_examples.pdf",
    log:
        "logs/draw_segx_examples/segx.log",
    benchmark:
        "benchmarks/draw_segx_examples/segx.tsv"
    conda:
        "../envs/report.yaml"
    params:
        titles=ALIGNED_TITLES,
        classes={name: config["datasets"][name]["classes"] for name in ALIGNED_TITLES},
        selections={name: all_selected(SimpleNamespace(dataset=name)) for name in ALIGNED_TITLES},
        explainers=ALIGNED["explainers"],
        code=source_digest("draw_segx_examples"),
    script:
        "../scripts/draw_segx_examples.py"


rule draw_risk_coverage:
    """Error rate among the most confident predictions, for SegU and for its baselines."""
    input:
        scores=list(aligned("segx")),
    output:
        png=report(
            "results/figures/segu_risk_coverage.png",
            **shown("segu_risk_coverage", "risk and coverage", "figure", category="SegX"),
        ),
        pdf="results/figures/segu_risk_coverage.pdf",
    log:
        "logs/draw_risk_coverage/segu.log",
    benchmark:
        "benchmarks/draw_risk_coverage/segu.tsv"
    conda:
        "../envs/report.yaml"
    params:
        cells=list(aligned("segx").values()),
        titles=ALIGNED_TITLES,
        rows=ALIGNED_ROWS,
        code=source_digest("draw_risk_coverage"),
    script:
        "../scripts/draw_risk_coverage.py"


rule draw_doses:
    """What SegX gains and SegU tells as the segmentation gets worse."""
    input:
        table="results/tables/segx_doses.csv",
        networks="results/tables/segx_networks.csv",
    output:
        png=report(
            "results/figures/segx_doses.png",
            **shown("segx_doses", "doses", "figure", category="SegX"),
        ),
        pdf="results/figures/segx_doses.pdf",
    log:
        "logs/draw_doses/segx.log",
    benchmark:
        "benchmarks/draw_doses/segx.tsv"
    conda:
        "../envs/report.yaml"
    params:
        titles=ALIGNED_TITLES,
        rows=ALIGNED_ROWS,
        segmenter=ALIGNED["segmenter"],
        code=source_digest("draw_doses"),
    script:
        "../scripts/draw_doses.py"


use rule draw_training as draw_segx_training with:
    input:
        histories=[
            f"results/models/{dataset}/{name}/seed-{seed}/history.csv"
            for dataset, name in LEARNT
            for seed in SEEDS
        ],
    output:
        png=report(
            "results/figures/segx_training.png",
            **shown("segx_training", "training", "figure", category="SegX"),
        ),
        pdf="results/figures/segx_training.pdf",
    log:
        "logs/draw_training/segx.log",
    benchmark:
        "benchmarks/draw_training/segx.tsv"
    params:
        losses={
            f"{ALIGNED_TITLES[dataset]}, {name}": config["models"][name]["training"]["loss"]
            for dataset, name in LEARNT
        },
        code=source_digest("draw_training"),
