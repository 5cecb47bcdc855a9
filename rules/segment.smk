"""Masks: tuned on validation images, cut from explanations, refined by the CRF; controls."""


rule tune_segmenter:
    """Settings of a segmenter: the best of a grid by mean Dice on validation images."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
        maps=collect(f"{MAPS}/{{shard}}.npy", shard=SHARDS, allow_missing=True),
        features=feature_maps,
    output:
        settings="results/tuning/{dataset}/{segmenter}/seed-{seed}.json",
        trials="results/tuning/{dataset}/{segmenter}/seed-{seed}.csv",
    log:
        "logs/tune_segmenter/{dataset}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/tune_segmenter/{dataset}/{segmenter}/seed-{seed}.tsv"
    wildcard_constraints:
        segmenter="|".join(VARIANTS),
    conda:
        "../envs/segment.yaml"
    threads: config["threads"]["segment"]
    params:
        method=segmenter("method"),
        defaults=config["segmentation"],
        grid=config["tuning"]["grid"],
        n_images=config["tuning"]["images"],
        selection=all_selected,
        code=source_digest("tune_segmenter"),
    script:
        "../scripts/tune_segmenter.py"


rule segment_relevance:
    """Coarse masks of one shard, from relevance maps by morphology or Normalized Cut."""
    input:
        maps=f"{MAPS}/{{shard}}.npy",
        features=feature_maps,
        settings="results/tuning/{dataset}/{segmenter}/seed-{seed}.json",
    output:
        masks="results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy",
    log:
        "logs/segment_relevance/{dataset}/{segmenter}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/segment_relevance/{dataset}/{segmenter}/seed-{seed}/{shard}.tsv"
    wildcard_constraints:
        segmenter="|".join(VARIANTS),
    conda:
        "../envs/segment.yaml"
    threads: config["threads"]["segment"]
    params:
        method=segmenter("method"),
        code=source_digest("segment_relevance"),
    script:
        "../scripts/segment_relevance.py"


rule refine_masks:
    """Masks of one shard refined by DenseCRF with the original images."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        masks="results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy",
        maps=f"{MAPS}/{{shard}}.npy",
        features=feature_maps,
        settings="results/tuning/{dataset}/{segmenter}/seed-{seed}.json",
    output:
        masks="results/masks/{dataset}/{segmenter}-crf/seed-{seed}/{shard}.npy",
    log:
        "logs/refine_masks/{dataset}/{segmenter}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/refine_masks/{dataset}/{segmenter}/seed-{seed}/{shard}.tsv"
    wildcard_constraints:
        segmenter="|".join(VARIANTS),
    conda:
        "../envs/segment.yaml"
    threads: config["threads"]["segment"]
    params:
        selection=selection,
        code=source_digest("refine_masks"),
    script:
        "../scripts/refine_masks.py"


rule segment_control:
    """Masks of a control that sees no explanation."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
    output:
        masks="results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy",
    log:
        "logs/segment_control/{dataset}/{segmenter}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/segment_control/{dataset}/{segmenter}/seed-{seed}/{shard}.tsv"
    wildcard_constraints:
        segmenter="|".join(CONTROLS),
    conda:
        "../envs/segment.yaml"
    params:
        method=segmenter("method"),
        selection=selection,
        code=source_digest("segment_control"),
    script:
        "../scripts/segment_control.py"


rule segment_network:
    """Masks of one shard by the U-Net, with its confidence in each."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        statistics="results/data/{dataset}/statistics.json",
        weights=f"results/models/{{dataset}}/{UNET}/seed-{{seed}}/weights.safetensors",
        card=f"results/models/{{dataset}}/{UNET}/seed-{{seed}}/card.json",
    output:
        masks=f"results/masks/{{dataset}}/{UNET}/seed-{{seed}}/{{shard}}.npy",
        facts=f"results/masks/{{dataset}}/{UNET}/seed-{{seed}}/{{shard}}.csv",
    log:
        "logs/segment_network/{dataset}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/segment_network/{dataset}/seed-{seed}/{shard}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        model=config["models"][UNET],
        selection=selection,
        threads=config["threads"]["explain"],
        code=source_digest("segment_network"),
    script:
        "../scripts/segment_network.py"
