"""Networks: results/models/{dataset}/{network}/seed-{seed}, and their predictions."""


rule check_network:
    """Check before training: weights fit the network, and the network suits its uses."""
    output:
        checked="results/checks/{dataset}/{network}.json",
    log:
        "logs/check_network/{dataset}/{network}.log",
    benchmark:
        "benchmarks/check_network/{dataset}/{network}.tsv"
    priority: 1
    conda:
        env("torch")
    params:
        **of_dataset("channels"),
        network=define("networks"),
        needs=of_job(studies.needs),
        code=check_code("check_network"),
    script:
        "../scripts/check_network.py"


rule train_network:
    """Train a classifier on labels or a segmenter on masks; keep the epoch of least loss."""
    input:
        unpack(learnt_from),
        **PICTURES,
        samples="results/data/{dataset}/samples.csv",
    output:
        weights="results/models/{dataset}/{network}/seed-{seed}/weights.safetensors",
        history="results/models/{dataset}/{network}/seed-{seed}/history.csv",
        card="results/models/{dataset}/{network}/seed-{seed}/card.json",
    log:
        "logs/train_network/{dataset}/{network}/seed-{seed}.log",
    benchmark:
        "benchmarks/train_network/{dataset}/{network}/seed-{seed}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["train"]
    resources:
        gpu=1,
    params:
        **IMAGES,
        network=network,
        contents=weights_contents,
        cell=cell("dataset", "network"),
        threads=config["threads"]["train"],
        code=code("train_network", "networks"),
    script:
        "../scripts/train_network.py"


rule predict:
    """Class probabilities of a classifier for whole images, or regions of a segmenter."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
    output:
        predictions="results/predictions/{dataset}/{network}/seed-{seed}.csv",
    log:
        "logs/predict/{dataset}/{network}/seed-{seed}.log",
    benchmark:
        "benchmarks/predict/{dataset}/{network}/seed-{seed}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        **NETWORK,
        cell=cell("dataset", "network"),
        code=code("predict", "networks"),
    script:
        "../scripts/predict.py"


use rule predict as predict_patches with:
    """Class probabilities of a classifier for the labelled windows that it learns from."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
        patches="results/data/{dataset}/patches.csv",
    output:
        predictions="results/patches/{dataset}/{network}/seed-{seed}.csv",
    log:
        "logs/predict_patches/{dataset}/{network}/seed-{seed}.log",
    benchmark:
        "benchmarks/predict_patches/{dataset}/{network}/seed-{seed}.tsv"
