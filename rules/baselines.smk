"""Masks of the methods that ExplainSeg is compared with (Table 2)."""


rule segment_micranet:
    """Masks of one shard by MICRA-Net, each for its image's predicted class."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        statistics="results/data/{dataset}/statistics.json",
        weights="results/models/{dataset}/micranet/seed-{seed}/weights.safetensors",
        predictions="results/predictions/{dataset}/micranet/seed-{seed}.csv",
    output:
        masks="results/masks/{dataset}/micranet/seed-{seed}/{shard}.npy",
    log:
        "logs/segment_micranet/{dataset}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/segment_micranet/{dataset}/seed-{seed}/{shard}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        model=lookup("models/micranet", within=config),
        classes=dataset("classes"),
        settings=config["baselines"]["micranet"],
        selection=selection,
        threads=config["threads"]["explain"],
        code=source_digest("segment_micranet"),
    script:
        "../scripts/segment_micranet.py"
