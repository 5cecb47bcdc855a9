"""What people see: figures of the study and one page that a reviewer reads top to bottom."""

DATASETS, SEEDS = STUDY["datasets"], config["seeds"]
REFINED = [f"{variant}-crf" for variant in VARIANTS]
SHOWN = {name: ROWS[name] for name in TESTED}
MASKS = "results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy"
OVERLAP = "results/scores/overlap/{dataset}/{segmenter}/seed-{seed}.csv"
# Pictures and tuning are shown for the first seed.
EXAMPLES = f"results/examples/{{dataset}}/seed-{SEEDS[0]}"
TRIALS = f"results/tuning/{{dataset}}/{{variant}}/seed-{SEEDS[0]}.csv"
FIGURES = {
    figure: {
        "caption": f"../report/explainseg_{figure}.rst",
        "category": "ExplainSeg",
        "labels": {"shows": figure, "as": "figure"},
    }
    for figure in ("examples", "distributions", "training")
}
TEXTS = [
    *(f"{workflow.basedir}/segxai/report/page.{suffix}" for suffix in ("html.j2", "css", "js")),
    *(f"{workflow.basedir}/report/explainseg_{figure}.rst" for figure in FIGURES),
    *map(str, Path(workflow.basedir, "docs").glob("deviations.md")),
]
# What the page says of the run: names of rows, definitions of data sets, settings.
DESCRIBED = {
    "titles": TITLES,
    "variants": {name: ROWS[name] for name in REFINED},
    "controls": [ROWS[name] for name in CONTROLS],
    "coarse": [ROWS[name] for name in VARIANTS],
    "datasets": {name: config["datasets"][name] for name in DATASETS},
    "explainer": config["explainers"][STUDY["explainer"]],
    "settings": {key: config[key] for key in ("seeds", "segmentation", "statistics")},
}


rule choose_examples:
    """Worst, median and best images of a data set, with everything that was made of them."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
        maps=collect(f"{MAPS}/{{shard}}.npy", shard=SHARDS, allow_missing=True),
        facts=collect(f"{MAPS}/{{shard}}.csv", shard=SHARDS, allow_missing=True),
        masks=collect(MASKS, segmenter=REFINED, shard=SHARDS, allow_missing=True),
        scores=collect(OVERLAP, segmenter=REFINED, allow_missing=True),
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
        segmenters=REFINED,
        code=source_digest("choose_examples"),
    script:
        "../scripts/choose_examples.py"


rule draw_examples:
    """Best, median and worst image of each data set, with the masks of every variant."""
    input:
        examples=collect(f"{EXAMPLES}.{{suffix}}", dataset=DATASETS, suffix=["npz", "csv"]),
    output:
        png=report("results/figures/explainseg_examples.png", **FIGURES["examples"]),
        pdf="results/figures/explainseg_examples.pdf",
    log:
        "logs/draw_examples/explainseg.log",
    benchmark:
        "benchmarks/draw_examples/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        titles=TITLES,
        rows=SHOWN,
        code=source_digest("draw_examples"),
    script:
        "../scripts/draw_examples.py"


rule draw_distributions:
    """Dice of every image by method, with means and their intervals."""
    input:
        scores=[path for path, _, _ in SCORES],
        table="results/tables/explainseg_ablation.csv",
    output:
        png=report("results/figures/explainseg_distributions.png", **FIGURES["distributions"]),
        pdf="results/figures/explainseg_distributions.pdf",
    log:
        "logs/draw_distributions/explainseg.log",
    benchmark:
        "benchmarks/draw_distributions/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        scores=SCORES,
        titles=TITLES,
        rows=SHOWN,
        code=source_digest("draw_distributions"),
    script:
        "../scripts/draw_distributions.py"


rule draw_training:
    """Loss and accuracy of the classifiers by epoch."""
    input:
        histories=collect(f"{MODEL}/history.csv", dataset=STUDY["datasets"], seed=SEEDS),
    output:
        png=report("results/figures/explainseg_training.png", **FIGURES["training"]),
        pdf="results/figures/explainseg_training.pdf",
    log:
        "logs/draw_training/explainseg.log",
    benchmark:
        "benchmarks/draw_training/explainseg.tsv"
    conda:
        "../envs/report.yaml"
    params:
        titles=TITLES,
        code=source_digest("draw_training"),
    script:
        "../scripts/draw_training.py"


rule write_report:
    """One self-contained page: what was run, what came out, and every image behind it."""
    input:
        tables=collect("results/tables/{table}.csv", table=TABLES),
        figures=collect("results/figures/explainseg_{figure}.png", figure=FIGURES),
        data=collect("results/data/{dataset}/{x}.csv", dataset=DATASETS, x=["samples", "rejected"]),
        cards=collect(f"{MODEL}/card.json", dataset=DATASETS, seed=SEEDS),
        facts=collect(f"{MAPS}/{{shard}}.csv", dataset=DATASETS, seed=SEEDS, shard=SHARDS),
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
