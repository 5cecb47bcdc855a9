"""Networks: classifiers, fine-tuned on labels and asked about whole images, and U-Nets."""


rule train_model:
    """Fine-tune a classifier on labelled patches; keep the epoch of least validation loss."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        patches="results/data/{dataset}/patches.csv",
        statistics="results/data/{dataset}/statistics.json",
    output:
        weights="results/models/{dataset}/{model}/seed-{seed}/weights.safetensors",
        history="results/models/{dataset}/{model}/seed-{seed}/history.csv",
        card="results/models/{dataset}/{model}/seed-{seed}/card.json",
    log:
        "logs/train_model/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "benchmarks/train_model/{dataset}/{model}/seed-{seed}.tsv"
    wildcard_constraints:
        model="|".join(CLASSIFIERS),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["train"]
    resources:
        gpu=1,
    params:
        model=model,
        classes=dataset("classes"),
        threads=config["threads"]["train"],
        code=source_digest("train_model"),
    script:
        "../scripts/train_model.py"


rule train_segmenter:
    """Train a U-Net on the masks of a data set; keep the epoch of least validation loss."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        masks="results/data/{dataset}/masks.npy",
        statistics="results/data/{dataset}/statistics.json",
    output:
        weights="results/models/{dataset}/{model}/seed-{seed}/weights.safetensors",
        history="results/models/{dataset}/{model}/seed-{seed}/history.csv",
        card="results/models/{dataset}/{model}/seed-{seed}/card.json",
    log:
        "logs/train_segmenter/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "benchmarks/train_segmenter/{dataset}/{model}/seed-{seed}.tsv"
    wildcard_constraints:
        model="|".join(MASK_MODELS),
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["train"]
    resources:
        gpu=1,
    params:
        model=model,
        scope=ALIGNED["mask_scope"],
        threads=config["threads"]["train"],
        code=source_digest("train_segmenter"),
    script:
        "../scripts/train_segmenter.py"


rule predict:
    """Class probabilities and predictions of a classifier for whole images."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        statistics="results/data/{dataset}/statistics.json",
        weights="results/models/{dataset}/{model}/seed-{seed}/weights.safetensors",
    output:
        predictions="results/predictions/{dataset}/{model}/seed-{seed}.csv",
    log:
        "logs/predict/{dataset}/{model}/seed-{seed}.log",
    benchmark:
        "benchmarks/predict/{dataset}/{model}/seed-{seed}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        model=lookup("models/{model}", within=config),
        classes=dataset("classes"),
        grid=windows,
        threads=config["threads"]["explain"],
        code=source_digest("predict"),
    script:
        "../scripts/predict.py"
