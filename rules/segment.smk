"""Masks: results/masks/{dataset}, under the network and explainer that a mask depends on."""


rule tune_segmenter:
    """Settings of a segmenter of maps: the best of a grid by mean Dice on validation images."""
    input:
        unpack(cut_from),
        **TRUTH,
        images="results/data/{dataset}/images.npy",
    output:
        settings="results/tuning/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.json",
        trials="results/tuning/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.csv",
    log:
        "logs/tune_segmenter/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/tune_segmenter/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.tsv"
    conda:
        env("segment")
    threads: config["threads"]["segment"]
    params:
        segmenter=define("segmenters"),
        view=view_of,
        display=dataset("display"),
        grid=config["tuning"]["grid"],
        n_images=config["tuning"]["images"],
        code=segment_code("tune_segmenter"),
    script:
        "../scripts/tune_segmenter.py"


rule segment_maps:
    """Masks from attributions, or of such masks by DenseCRF: one per target."""
    input:
        unpack(cut_from),
        unpack(truth_seen),
        images="results/data/{dataset}/images.npy",
        settings="results/tuning/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.json",
    output:
        masks="results/masks/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.npy",
        facts="results/masks/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.csv",
    log:
        "logs/segment_maps/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/segment_maps/{dataset}/{network}/{explainer}/{segmenter}/seed-{seed}.tsv"
    conda:
        env("segment")
    threads: config["threads"]["segment"]
    params:
        segmenter=define("segmenters"),
        view=view_of,
        display=dataset("display"),
        code=segment_code("segment_maps"),
    script:
        "../scripts/segment_maps.py"


rule segment_network:
    """Masks of one shard of the chosen images by a network's keys, levels or output."""
    input:
        unpack(asked),
        images="results/data/{dataset}/images.npy",
        chosen="results/targets/{dataset}/images.csv",
    output:
        masks=temp("results/masks/{dataset}/{network}/{segmenter}/seed-{seed}/{shard}.npy"),
        facts=temp("results/masks/{dataset}/{network}/{segmenter}/seed-{seed}/{shard}.csv"),
    log:
        "logs/segment_network/{dataset}/{network}/{segmenter}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/segment_network/{dataset}/{network}/{segmenter}/seed-{seed}/{shard}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["segment"]
    resources:
        gpu=1,
    params:
        **IMAGES,
        segmenter=define("segmenters"),
        network=define("networks"),
        contents=weights_contents,
        display=dataset("display"),
        torch_threads=config["threads"]["explain"],
        code=code("segment_network", "networks", "segmenters"),
    script:
        "../scripts/segment_network.py"


use rule gather_maps as gather_masks with:
    """The masks of all shards in one file, in the order of the chosen images."""
    input:
        arrays=shards("results/masks/{dataset}/{network}/{segmenter}/seed-{seed}/{shard}.npy"),
        tables=shards("results/masks/{dataset}/{network}/{segmenter}/seed-{seed}/{shard}.csv"),
    output:
        array="results/masks/{dataset}/{network}/{segmenter}/seed-{seed}.npy",
        table="results/masks/{dataset}/{network}/{segmenter}/seed-{seed}.csv",
    log:
        "logs/gather_masks/{dataset}/{network}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/gather_masks/{dataset}/{network}/{segmenter}/seed-{seed}.tsv"


rule segment_control:
    """Masks of the chosen images by a control without a network."""
    input:
        **TRUTH,
        images="results/data/{dataset}/images.npy",
        chosen="results/targets/{dataset}/images.csv",
    output:
        masks="results/masks/{dataset}/{segmenter}/seed-{seed}.npy",
        facts="results/masks/{dataset}/{segmenter}/seed-{seed}.csv",
    log:
        "logs/segment_control/{dataset}/{segmenter}/seed-{seed}.log",
    benchmark:
        "benchmarks/segment_control/{dataset}/{segmenter}/seed-{seed}.tsv"
    conda:
        env("segment")
    params:
        segmenter=define("segmenters"),
        display=dataset("display"),
        code=code("segment_control", "segmenters"),
    script:
        "../scripts/segment_control.py"
