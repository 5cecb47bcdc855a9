"""Explanations: results/targets, results/maps (signed attributions), results/keys."""


rule choose_images:
    """The images of a data set that the selected studies explain and segment."""
    input:
        samples="results/data/{dataset}/samples.csv",
    output:
        chosen="results/targets/{dataset}/images.csv",
    log:
        "logs/choose_images/{dataset}.log",
    benchmark:
        "benchmarks/choose_images/{dataset}.tsv"
    conda:
        env("data")
    params:
        selections=of_job(studies.selections),
        shards=of_job(studies.n_shards),
        code=digest("choose_images"),
    script:
        "../scripts/choose_images.py"


rule check_outlines:
    """Numbers of images with an outlined finding for each use; a use without any is refused."""
    input:
        samples="results/data/{dataset}/samples.csv",
    output:
        counts="results/targets/{dataset}/outlines.csv",
    log:
        "logs/check_outlines/{dataset}.log",
    benchmark:
        "benchmarks/check_outlines/{dataset}.tsv"
    priority: 1
    conda:
        env("data")
    params:
        needs=of_job(studies.needs_of_outlines),
        code=digest("check_outlines"),
    script:
        "../scripts/check_outlines.py"


rule choose_targets:
    """List of all targets: each predicted label or region of the chosen images."""
    input:
        samples="results/data/{dataset}/samples.csv",
        predictions="results/predictions/{dataset}/{network}/seed-{seed}.csv",
    output:
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
    log:
        "logs/choose_targets/{dataset}/{network}/seed-{seed}.log",
    benchmark:
        "benchmarks/choose_targets/{dataset}/{network}/seed-{seed}.tsv"
    conda:
        env("data")
    params:
        classes=dataset("classes"),
        selections=lambda wildcards: studies.selections(config, *wildcards[:2]),
        shards=lambda wildcards: studies.n_shards(config, wildcards.dataset),
        code=digest("choose_targets"),
    script:
        "../scripts/choose_targets.py"


rule check_precision:
    """Check whether reduced precision keeps the attributions of the first targets."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
    output:
        precision="results/precision/{dataset}/{network}/{explainer}/seed-{seed}.json",
    log:
        "logs/check_precision/{dataset}/{network}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/check_precision/{dataset}/{network}/{explainer}/seed-{seed}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        **NETWORK,
        explainer=define("explainers"),
        code=code("check_precision", "networks", "explainers"),
    script:
        "../scripts/check_precision.py"


rule explain:
    """Signed attributions of one shard of the targets."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
        precision_check=precision_check,
    output:
        maps=temp("results/maps/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.npy"),
        rows=temp("results/maps/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.csv"),
    log:
        "logs/explain/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/explain/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        **NETWORK,
        explainer=define("explainers"),
        selections=of_explainer,
        code=code("explain", "networks", "explainers"),
    script:
        "../scripts/explain.py"


rule gather_maps:
    """The attributions of all shards in one file, in the order of the targets."""
    input:
        arrays=shards("results/maps/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.npy"),
        tables=shards("results/maps/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.csv"),
    output:
        array="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.npy",
        table="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.csv",
    log:
        "logs/gather_maps/{dataset}/{network}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/gather_maps/{dataset}/{network}/{explainer}/seed-{seed}.tsv"
    conda:
        env("data")
    params:
        code=digest("gather_shards"),
    script:
        "../scripts/gather_shards.py"


rule extract_keys:
    """Centred keys of a network's last block at an input size in px, for each chosen image."""
    input:
        unpack(trained),
        images="results/data/{dataset}/images.npy",
        chosen="results/targets/{dataset}/images.csv",
    output:
        token_keys="results/keys/{dataset}/{network}/{size}/seed-{seed}.npy",
    log:
        "logs/extract_keys/{dataset}/{network}/{size}/seed-{seed}.log",
    benchmark:
        "benchmarks/extract_keys/{dataset}/{network}/{size}/seed-{seed}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        network=define("networks"),
        contents=weights_contents,
        channels=dataset("channels"),
        display=dataset("display"),
        threads=config["threads"]["explain"],
        code=code("extract_keys", "networks"),
    script:
        "../scripts/extract_keys.py"
