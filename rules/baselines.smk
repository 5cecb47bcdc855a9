"""Masks of the methods that ExplainSeg is compared with (Table 2)."""

MICRANET = config["baselines"]["micranet"]["model"]


rule segment_tokens:
    """Masks of one shard by Normalized Cuts of a transformer's keys: TokenCut or MaskCut."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        trained=trained_body,
    output:
        masks="results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.npy",
        facts="results/masks/{dataset}/{segmenter}/seed-{seed}/{shard}.csv",
    log:
        "logs/segment_tokens/{dataset}/{segmenter}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/segment_tokens/{dataset}/{segmenter}/seed-{seed}/{shard}.tsv"
    wildcard_constraints:
        segmenter="|".join(TOKEN_BASELINES),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["segment"]
    resources:
        gpu=1,
    params:
        model=token_model,
        classes=dataset("classes"),
        features=lookup("baselines/{segmenter}/features", within=config),
        cut=lookup("baselines/{segmenter}/cut", within=config),
        selection=selection,
        threads=config["threads"]["explain"],
        code=source_digest("segment_tokens"),
    script:
        "../scripts/segment_tokens.py"


rule segment_micranet:
    """Masks of one shard by MICRA-Net, each for its image's predicted class."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        statistics="results/data/{dataset}/statistics.json",
        weights=f"results/models/{{dataset}}/{MICRANET}/seed-{{seed}}/weights.safetensors",
        predictions=f"results/predictions/{{dataset}}/{MICRANET}/seed-{{seed}}.csv",
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
        model=lookup(f"models/{MICRANET}", within=config),
        classes=dataset("classes"),
        cut=config["baselines"]["micranet"]["cut"],
        selection=selection,
        threads=config["threads"]["explain"],
        code=source_digest("segment_micranet"),
    script:
        "../scripts/segment_micranet.py"
