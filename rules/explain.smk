"""Explanations: relevance maps and feature maps, cached for everything after them."""


rule check_precision:
    """Whether reduced precision or torch.compile keep the maps of the first explained images."""
    input:
        **PREDICTED,
    output:
        "results/precision/{dataset}/{model}/{explainer}/seed-{seed}.json",
    log:
        "logs/check_precision/{dataset}/{model}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/check_precision/{dataset}/{model}/{explainer}/seed-{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        model=lookup("models/{model}", within=config),
        explainer=lookup("explainers/{explainer}", within=config),
        classes=dataset("classes"),
        selection=all_selected,
        grid=windows,
        threads=config["threads"]["explain"],
        code=source_digest("check_precision"),
    script:
        "../scripts/check_precision.py"


rule explain:
    """Relevance maps of one shard of the explained images, each for its predicted class."""
    input:
        **PREDICTED,
        precision_check=precision_check,
    output:
        maps="results/maps/{dataset}/{model}/{explainer}/seed-{seed}/{shard}.npy",
        rows="results/maps/{dataset}/{model}/{explainer}/seed-{seed}/{shard}.csv",
    log:
        "logs/explain/{dataset}/{model}/{explainer}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/explain/{dataset}/{model}/{explainer}/seed-{seed}/{shard}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        model=lookup("models/{model}", within=config),
        explainer=lookup("explainers/{explainer}", within=config),
        classes=dataset("classes"),
        selection=selection,
        grid=windows,
        threads=config["threads"]["explain"],
        code=source_digest("explain"),
    script:
        "../scripts/explain.py"


rule extract_features:
    """First principal component of the last block's keys for one shard."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        statistics="results/data/{dataset}/statistics.json",
        weights="results/models/{dataset}/{model}/seed-{seed}/weights.safetensors",
    output:
        features="results/features/{dataset}/{model}/seed-{seed}/{shard}.npy",
    log:
        "logs/extract_features/{dataset}/{model}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/extract_features/{dataset}/{model}/seed-{seed}/{shard}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        model=lookup("models/{model}", within=config),
        classes=dataset("classes"),
        selection=selection,
        grid=windows,
        threads=config["threads"]["explain"],
        code=source_digest("extract_features"),
    script:
        "../scripts/extract_features.py"
