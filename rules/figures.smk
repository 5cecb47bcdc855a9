"""Figures of the study: examples of masks, distributions of scores, training curves."""

DATASETS, SEEDS = STUDY["datasets"], config["seeds"]
MASKS = "results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy"
# Pictures are of the first seed.
EXAMPLES = f"results/examples/{{dataset}}/seed-{SEEDS[0]}"
PICTURED = [*REFINED, *BASELINES]
FIGURES = ["examples", "variants", "distributions", "training"] if DATASETS else []


rule choose_examples:
    """Worst, median and best images of a data set, with everything that was made of them."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
        maps=collect(f"{MAPS}/{{shard}}.npy", shard=SHARDS, allow_missing=True),
        facts=collect(f"{MAPS}/{{shard}}.csv", shard=SHARDS, allow_missing=True),
        masks=collect(MASKS, segmenter=PICTURED, shard=SHARDS, allow_missing=True),
        scores=collect(OVERLAP, segmenter=PICTURED, allow_missing=True),
        settings=f"results/tuning/{{dataset}}/{VARIANTS[-1]}/seed-{{seed}}.json",
    output:
        arrays="results/examples/{dataset}/seed-{seed}.npz",
        table="results/examples/{dataset}/seed-{seed}.csv",
    log:
        "logs/choose_examples/{dataset}/seed-{seed}.log",
    benchmark:
        "benchmarks/choose_examples/{dataset}/seed-{seed}.tsv"
    conda:
        "../envs/report.yaml"
    params:
        segmenters=PICTURED,
        headline=HEADLINE,
        code=source_digest("choose_examples"),
    script:
        "../scripts/choose_examples.py"


rule draw_examples:
    """Best, median and worst image of each data set: with the baselines, and with all variants."""
    input:
        examples=collect(f"{EXAMPLES}.{{suffix}}", dataset=DATASETS, suffix=["npz", "csv"]),
    output:
        report(
            "results/figures/explainseg_examples.png",
            **shown("explainseg_examples", "examples", "figure"),
        ),
        "results/figures/explainseg_examples.pdf",
        report(
            "results/figures/explainseg_variants.png",
            **shown("explainseg_variants", "variants", "figure"),
        ),
        "results/figures/explainseg_variants.pdf",
    log:
        "logs/draw_examples/explainseg.log",
    benchmark:
        "benchmarks/draw_examples/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        titles=TITLES,
        rows=METHODS,
        roles=ROLES,
        # Fig. 2 of the paper, and the variants of Table 1.
        columns=[[*BASELINES, HEADLINE], REFINED],
        code=source_digest("draw_examples"),
    script:
        "../scripts/draw_examples.py"


rule draw_distributions:
    """Dice of every image by method, with means and their intervals."""
    input:
        scores=list(scores(METHODS)),
        tables=collect("results/tables/{table}.csv", table=TABLES),
    output:
        png=report(
            "results/figures/explainseg_distributions.png",
            **shown("explainseg_distributions", "distributions", "figure"),
        ),
        pdf="results/figures/explainseg_distributions.pdf",
    log:
        "logs/draw_distributions/explainseg.log",
    benchmark:
        "benchmarks/draw_distributions/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        cells=list(scores(METHODS).values()),
        titles=TITLES,
        roles=ROLES,
        code=source_digest("draw_distributions"),
    script:
        "../scripts/draw_distributions.py"


rule draw_training:
    """Loss and validation score of networks by epoch."""
    input:
        histories=collect(f"{MODEL}/history.csv", dataset=STUDY["datasets"], seed=SEEDS),
    output:
        png=report(
            "results/figures/explainseg_training.png",
            **shown("explainseg_training", "training", "figure"),
        ),
        pdf="results/figures/explainseg_training.pdf",
    log:
        "logs/draw_training/explainseg.log",
    benchmark:
        "benchmarks/draw_training/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        losses={
            TITLES[name]: config["models"][STUDY["model"]]["training"]["loss"] for name in DATASETS
        },
        code=source_digest("draw_training"),
    script:
        "../scripts/draw_training.py"
