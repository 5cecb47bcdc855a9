"""SegX and SegU: a segmenter's masks refine each explanation and say how far to trust it."""

UNET_MASKS = f"results/masks/{{dataset}}/{UNET}/seed-{{seed}}/{{shard}}"
LABEL_MAPS = "results/maps/{dataset}/{model}/{explainer}/seed-{seed}/{shard}"
# Maps and scores of all rows of Tables 3 and 4.
EACH = [f"{model}/{explainer}" for model, explainer in EXPLAINED]
EACH_MAP = "results/maps/{dataset}/{row}/seed-{seed}"
EACH_SCORE = "results/scores/segx/{dataset}/{row}/seed-{seed}.csv"
# Pictures are of the first seed.
PREDICTED = f"results/examples/{{dataset}}/segx-seed-{config['seeds'][0]}"


rule score_segx:
    """SegX and SegU of each explained label by the U-Net's masks."""
    input:
        samples="results/data/{dataset}/samples.csv",
        truth="results/data/{dataset}/masks.npy",
        predictions="results/predictions/{dataset}/{model}/seed-{seed}.csv",
        maps=collect(f"{LABEL_MAPS}.npy", shard=SHARDS, allow_missing=True),
        facts=collect(f"{LABEL_MAPS}.csv", shard=SHARDS, allow_missing=True),
        masks=collect(f"{UNET_MASKS}.npy", shard=SHARDS, allow_missing=True),
        mask_facts=collect(f"{UNET_MASKS}.csv", shard=SHARDS, allow_missing=True),
    output:
        scores="results/scores/segx/{dataset}/{model}/{explainer}/seed-{seed}.csv",
    log:
        "logs/score_segx/{dataset}/{model}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_segx/{dataset}/{model}/{explainer}/seed-{seed}.tsv"
    conda:
        "../envs/segment.yaml"
    threads: config["threads"]["segment"]
    params:
        classes=dataset("classes"),
        selection=all_selected,
        code=source_digest("score_segx"),
    script:
        "../scripts/score_segx.py"


rule score_doses:
    """SegX and SegU of each explained label by true masks that are worsened by known doses."""
    input:
        samples="results/data/{dataset}/samples.csv",
        truth="results/data/{dataset}/masks.npy",
        maps=collect(f"{LABEL_MAPS}.npy", shard=SHARDS, allow_missing=True),
        facts=collect(f"{LABEL_MAPS}.csv", shard=SHARDS, allow_missing=True),
    output:
        scores="results/scores/doses/{dataset}/{model}/{explainer}/seed-{seed}.csv",
    log:
        "logs/score_doses/{dataset}/{model}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_doses/{dataset}/{model}/{explainer}/seed-{seed}.tsv"
    conda:
        "../envs/segment.yaml"
    threads: config["threads"]["segment"]
    params:
        classes=dataset("classes"),
        scope=ALIGNED["mask_scope"],
        doses=ALIGNED["doses"],
        selection=all_selected,
        code=source_digest("score_doses"),
    script:
        "../scripts/score_doses.py"


rule score_shortcut:
    """How much of each explanation lies on the planted shortcut, before and after SegX."""
    input:
        samples="results/data/{dataset}/samples.csv",
        markers="results/data/{dataset}/markers.npy",
        scores="results/scores/segx/{dataset}/{model}/{explainer}/seed-{seed}.csv",
        maps=collect(f"{LABEL_MAPS}.npy", shard=SHARDS, allow_missing=True),
        facts=collect(f"{LABEL_MAPS}.csv", shard=SHARDS, allow_missing=True),
        masks=collect(f"{UNET_MASKS}.npy", shard=SHARDS, allow_missing=True),
    output:
        scores="results/scores/shortcut/{dataset}/{model}/{explainer}/seed-{seed}.csv",
    log:
        "logs/score_shortcut/{dataset}/{model}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_shortcut/{dataset}/{model}/{explainer}/seed-{seed}.tsv"
    conda:
        "../envs/segment.yaml"
    params:
        classes=dataset("classes"),
        selection=all_selected,
        shortcut=lookup("datasets/{dataset}/source/shortcut/class", within=config),
        code=source_digest("score_shortcut"),
    script:
        "../scripts/score_shortcut.py"


rule choose_segx_examples:
    """Predictions of a data set that a reader is shown, with all that was made of them."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
        maps=collect(f"{EACH_MAP}/{{shard}}.npy", row=EACH, shard=SHARDS, allow_missing=True),
        masks=collect(f"{UNET_MASKS}.npy", shard=SHARDS, allow_missing=True),
        scores=collect(EACH_SCORE, row=EACH, allow_missing=True),
    output:
        arrays="results/examples/{dataset}/segx-seed-{seed}.npz",
        table="results/examples/{dataset}/segx-seed-{seed}.csv",
    log:
        "logs/choose_segx_examples/{dataset}/seed-{seed}.log",
    benchmark:
        "benchmarks/choose_segx_examples/{dataset}/seed-{seed}.tsv"
    conda:
        "../envs/report.yaml"
    params:
        rows=ALIGNED_ROWS,
        models=ALIGNED["models"],
        classes=dataset("classes"),
        selection=all_selected,
        code=source_digest("choose_segx_examples"),
    script:
        "../scripts/choose_segx_examples.py"
