"""Scores: results/scores/{family}/{dataset}, one tidy row per target or image and measure."""


rule score_maps:
    """What one family of metrics measures of each explained target."""
    input:
        unpack(compared),
        **TRUTH,
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
        maps="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.npy",
        rows="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.csv",
        predictions="results/predictions/{dataset}/{network}/seed-{seed}.csv",
    output:
        scores="results/scores/{family}/{dataset}/{network}/{explainer}/seed-{seed}.csv",
    log:
        "logs/score_maps/{family}/{dataset}/{network}/{explainer}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_maps/{family}/{dataset}/{network}/{explainer}/seed-{seed}.tsv"
    wildcard_constraints:
        family=families("maps"),
    conda:
        env("segment")
    threads: config["threads"]["segment"]
    params:
        requests=requested,
        cell=cell("dataset", "network", "explainer"),
        classes=dataset("classes"),
        scope=scope_of,
        labels=labels_of,
        code=score_code("score_maps"),
    script:
        "../scripts/score_maps.py"


rule score_masks:
    """What one family of metrics measures of each mask of a segmenter."""
    input:
        unpack(masks_compared),
        **TRUTH,
        masks="results/masks/{dataset}/{path}/seed-{seed}.npy",
        facts="results/masks/{dataset}/{path}/seed-{seed}.csv",
    output:
        scores="results/scores/{family}/{dataset}/{path}/seed-{seed}.csv",
    log:
        "logs/score_masks/{family}/{dataset}/{path}/seed-{seed}.log",
    benchmark:
        "benchmarks/score_masks/{family}/{dataset}/{path}/seed-{seed}.tsv"
    wildcard_constraints:
        family=families("masks"),
        path="|".join(MASKS),
    conda:
        env("segment")
    params:
        requests=requested,
        cell=lambda wildcards: {
            "dataset": wildcards.dataset,
            **studies.keys(config, wildcards.path),
        },
        code=score_code("score_masks"),
    script:
        "../scripts/score_masks.py"
