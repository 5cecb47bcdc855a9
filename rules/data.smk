rule fetch_dataset:
    """Originals from disk, the official archive or a generator.

    The receipt is the contract and names the folder. The folder itself is no output: with
    `path` it is not ours, and Snakemake would delete it (and a download) before each rerun.
    """
    input:
        series=series_tables,
    output:
        receipt="results/raw/{dataset}.json",
    log:
        "logs/fetch_dataset/{dataset}.log",
    benchmark:
        "benchmarks/fetch_dataset/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    params:
        reader=lookup("datasets/{dataset}/reader", within=config),
        path=lookup("datasets/{dataset}/path", within=config),
        source=lookup("datasets/{dataset}/source", within=config),
        selection=fetched,
        abnormalities=lookup("datasets/{dataset}/abnormalities", within=config, default=None),
        code=source_digest("fetch_dataset"),
    script:
        "../scripts/fetch_dataset.py"


rule prepare_dataset:
    """Images and masks at the analysis size, one row per image, and what was left out."""
    input:
        receipt="results/raw/{dataset}.json",
    output:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        masks="results/data/{dataset}/masks.npy",
        rejected="results/data/{dataset}/rejected.csv",
    log:
        "logs/prepare_dataset/{dataset}.log",
    benchmark:
        "benchmarks/prepare_dataset/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    threads: 2
    params:
        reader=lookup("datasets/{dataset}/reader", within=config),
        ground_truth=lookup("datasets/{dataset}/masks", within=config, default=None),
        abnormalities=lookup("datasets/{dataset}/abnormalities", within=config, default=None),
        mask_mismatch=lookup("datasets/{dataset}/mask_mismatch", within=config, default="drop"),
        classes=lookup("datasets/{dataset}/classes", within=config),
        analysis_size=lookup("datasets/{dataset}/analysis_size", within=config),
        max_images=lookup("datasets/{dataset}/max_images", within=config),
        max_rejected=lookup("datasets/{dataset}/max_rejected", within=config),
        split=lookup("datasets/{dataset}/split", within=config),
        code=source_digest("prepare_dataset"),
    script:
        "../scripts/prepare_dataset.py"


rule prepare_markers:
    """Masks of the planted shortcut, one per image of a data set that has it."""
    input:
        receipt="results/raw/{dataset}.json",
        samples="results/data/{dataset}/samples.csv",
    output:
        markers="results/data/{dataset}/markers.npy",
    log:
        "logs/prepare_markers/{dataset}.log",
    benchmark:
        "benchmarks/prepare_markers/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    params:
        reader=lookup("datasets/{dataset}/reader", within=config),
        analysis_size=lookup("datasets/{dataset}/analysis_size", within=config),
        code=source_digest("prepare_markers"),
    script:
        "../scripts/prepare_markers.py"


rule cut_patches:
    """Labelled windows of the images, equally many per class, for the classifier."""
    input:
        samples="results/data/{dataset}/samples.csv",
        masks="results/data/{dataset}/masks.npy",
    output:
        patches="results/data/{dataset}/patches.csv",
    log:
        "logs/cut_patches/{dataset}.log",
    benchmark:
        "benchmarks/cut_patches/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    params:
        classes=lookup("datasets/{dataset}/classes", within=config),
        grid=lookup("datasets/{dataset}/patches", within=config),
        seed=lookup("datasets/{dataset}/split/seed", within=config),
        code=source_digest("cut_patches"),
    script:
        "../scripts/cut_patches.py"


rule measure_statistics:
    """Channel mean and standard deviation of the training images, for normalisation."""
    input:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
    output:
        statistics="results/data/{dataset}/statistics.json",
    log:
        "logs/measure_statistics/{dataset}.log",
    benchmark:
        "benchmarks/measure_statistics/{dataset}.tsv"
    conda:
        "../envs/data.yaml"
    params:
        code=source_digest("measure_statistics"),
    script:
        "../scripts/measure_statistics.py"
