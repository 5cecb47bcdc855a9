"""Scores: results/scores/{family}/{dataset}, one tidy row per target or image and measure."""


rule remove_pixels:
    """What a network says while images lose their pixels in the order of the maps of one shard."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
        maps="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.npy",
        map_rows="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.csv",
    output:
        curves=temp("results/curves/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.npy"),
        rows=temp("results/curves/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.csv"),
    log:
        "logs/remove_pixels/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/remove_pixels/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        **NETWORK,
        **asked_about("curves", "dataset", "network", "explainer"),
        code=code("remove_pixels", "networks"),
    script:
        "../scripts/remove_pixels.py"


rule remove_squares:
    """How much the scores of one shard fall without sets of squares, the same for every map."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
    output:
        falls=temp("results/responses/{dataset}/{network}/seed-{seed}/{shard}.npy"),
        rows=temp("results/responses/{dataset}/{network}/seed-{seed}/{shard}.csv"),
    log:
        "logs/remove_squares/{dataset}/{network}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/remove_squares/{dataset}/{network}/seed-{seed}/{shard}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        **NETWORK,
        **asked_about("responses", "dataset", "network"),
        code=code("remove_squares", "networks"),
    script:
        "../scripts/remove_squares.py"


rule disturb_explainer:
    """What the maps of one shard keep with noise, other draws or class, and without what was learnt."""
    input:
        **TRAINED,
        samples="results/data/{dataset}/samples.csv",
        targets="results/targets/{dataset}/{network}/seed-{seed}.csv",
        maps="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.npy",
        map_rows="results/maps/{dataset}/{network}/{explainer}/seed-{seed}.csv",
        precision_check=precision_check,
    output:
        disturbed=temp("results/disturbed/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.npy"),
        rows=temp("results/disturbed/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.csv"),
    log:
        "logs/disturb_explainer/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.log",
    benchmark:
        "benchmarks/disturb_explainer/{dataset}/{network}/{explainer}/seed-{seed}/{shard}.tsv"
    conda:
        env("torch")
    threads: config["threads"]["explain"]
    resources:
        gpu=1,
    params:
        **NETWORK,
        explainer=define("explainers"),
        selections=of_readers("disturbed", "dataset", "network", "explainer"),
        n_images=lambda wildcards: studies.repeated_images(config, *wildcards[:3]),
        code=code("disturb_explainer", "networks", "explainers"),
    script:
        "../scripts/disturb_explainer.py"


rule gather_answers:
    """What the network was asked, of all shards in one file, in the order of the targets."""
    input:
        arrays=shards("results/{answers}/{dataset}/{path}/seed-{seed}/{shard}.npy"),
        tables=shards("results/{answers}/{dataset}/{path}/seed-{seed}/{shard}.csv"),
    output:
        array="results/{answers}/{dataset}/{path}/seed-{seed}.npy",
        table="results/{answers}/{dataset}/{path}/seed-{seed}.csv",
    log:
        "logs/gather_answers/{answers}/{dataset}/{path}/seed-{seed}.log",
    benchmark:
        "benchmarks/gather_answers/{answers}/{dataset}/{path}/seed-{seed}.tsv"
    wildcard_constraints:
        answers="curves|responses|disturbed",
    conda:
        env("data")
    params:
        code=digest("gather_shards"),
    script:
        "../scripts/gather_shards.py"


rule score_maps:
    """Scores of explained targets by one family of metrics."""
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
        removals=read_for_scores("curves", "dataset", "network", "explainer"),
        fills=read_for_scores("responses", "dataset", "network"),
        code=score_code("score_maps"),
    script:
        "../scripts/score_maps.py"


rule score_masks:
    """Scores of a segmenter's masks by one family of metrics."""
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
