"""Data sets: results/raw/{dataset}.json and results/data/{dataset}."""


rule fetch_dataset:
    """Originals from disk, the official archive or a generator.

    The receipt is the output; it names the folder. The folder itself is not an output: with `path`
    it belongs to the user, and Snakemake would delete it (and a download) before each rerun.
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
        env("data")
    params:
        **READER,
        **of_dataset("path", "source"),
        selection=fetched,
        contents=folder_contents,
        code=read_code("fetch_dataset"),
    script:
        "../scripts/fetch_dataset.py"


rule prepare_dataset:
    """Images and masks at the analysis size, one row per image, and the rejected files."""
    input:
        receipt="results/raw/{dataset}.json",
    output:
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
        outlines="results/data/{dataset}/masks.csv",
        rejected="results/data/{dataset}/rejected.csv",
    log:
        "logs/prepare_dataset/{dataset}.log",
    benchmark:
        "benchmarks/prepare_dataset/{dataset}.tsv"
    conda:
        env("data")
    threads: 2
    params:
        **READER,
        **IMAGES,
        **of_dataset(
            "mask_mismatch", "bits", "analysis_size", "max_images", "max_rejected", "split"
        ),
        code=read_code("prepare_dataset"),
    script:
        "../scripts/prepare_dataset.py"


rule prepare_markers:
    """Masks of the planted shortcut, one per image of a data set with markers."""
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
        env("data")
    params:
        **READER,
        analysis_size=dataset("analysis_size"),
        code=read_code("prepare_markers"),
    script:
        "../scripts/prepare_markers.py"


rule prepare_instances:
    """Pixels with the number of their true object, and the number of objects per image."""
    input:
        **TRUTH,
        receipt="results/raw/{dataset}.json",
    output:
        instances="results/data/{dataset}/instances.npy",
        facts="results/data/{dataset}/instances.csv",
    log:
        "logs/prepare_instances/{dataset}.log",
    benchmark:
        "benchmarks/prepare_instances/{dataset}.tsv"
    conda:
        env("data")
    params:
        **READER,
        analysis_size=dataset("analysis_size"),
        code=read_code("prepare_instances"),
    script:
        "../scripts/prepare_instances.py"


rule cut_patches:
    """Labelled windows of the images, equally many per class, for the classifier."""
    input:
        **TRUTH,
    output:
        patches="results/data/{dataset}/patches.csv",
    log:
        "logs/cut_patches/{dataset}.log",
    benchmark:
        "benchmarks/cut_patches/{dataset}.tsv"
    conda:
        env("data")
    params:
        classes=dataset("classes"),
        grid=dataset("patches"),
        seed=lookup("datasets/{dataset}/split/seed", within=config),
        code=digest("cut_patches"),
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
        env("data")
    params:
        code=digest("measure_statistics"),
    script:
        "../scripts/measure_statistics.py"
