"""Tables of SegX and SegU: alignment, certainty, their networks, dose response and shortcut."""

# Each table that this run makes.
SEGX_TABLES = []
if ALIGNED["datasets"]:
    SEGX_TABLES = ["segx_alignment", "segu_certainty", "segx_networks", "segx_doses"]
if SHORTCUTS:
    SEGX_TABLES.append("segx_shortcut")
# Those with published numbers: Tables 3 and 4.
SEGX_PUBLISHED = SEGX_TABLES[:2]
# The classifier behind each row of them.
SEGX_NETWORKS = {f"{model} {explainer}": config["models"][model] for model, explainer in EXPLAINED}
PREDICTIONS = {
    f"results/predictions/{dataset}/{model}/seed-{seed}.csv": (dataset, model)
    for dataset in ALIGNED["datasets"]
    for model in ALIGNED["models"]
    for seed in config["seeds"]
}
SEGMENTED = scores({UNET: UNET}, datasets=ALIGNED["datasets"])


rule make_segx_tables:
    """Table 3 or 4 with intervals, beside the published values, and its tests."""
    input:
        scores=list(aligned("segx")),
        published=PUBLISHED,
    output:
        csv=report("results/tables/{table}.csv", **shown("segx_means", "{table}", "table", "SegX")),
        md="results/tables/{table}.md",
        tex="results/tables/{table}.tex",
        tests=report(
            "results/tables/{table}_tests.csv",
            **shown("segx_tests", "{table}, tests", "table", "SegX"),
        ),
    log:
        "logs/make_segx_tables/{table}.log",
    benchmark:
        "benchmarks/make_segx_tables/{table}.tsv"
    wildcard_constraints:
        table="segx_alignment|segu_certainty",
    conda:
        "../envs/report.yaml"
    params:
        cells=list(aligned("segx").values()),
        titles=ALIGNED_TITLES,
        statistics=config["statistics"],
        code=source_digest("make_segx_tables"),
    script:
        "../scripts/make_segx_tables.py"


rule make_networks_table:
    """How well the networks behind SegX classify and segment the test images."""
    input:
        predictions=list(PREDICTIONS),
        overlap=list(SEGMENTED),
        samples=collect("results/data/{dataset}/samples.csv", dataset=ALIGNED["datasets"]),
    output:
        csv=report(
            "results/tables/segx_networks.csv",
            **shown("segx_networks", "networks", "table", "SegX"),
        ),
    log:
        "logs/make_networks_table.log",
    benchmark:
        "benchmarks/make_networks_table.tsv"
    conda:
        "../envs/report.yaml"
    params:
        datasets=ALIGNED["datasets"],
        predicted=list(PREDICTIONS.values()),
        segmented=list(SEGMENTED.values()),
        statistics=config["statistics"],
        code=source_digest("make_networks_table"),
    script:
        "../scripts/make_networks_table.py"


rule make_doses_table:
    """SegX's gain and SegU's AUROC by how much the true masks were worsened."""
    input:
        scores=list(aligned("doses")),
    output:
        csv=report(
            "results/tables/segx_doses.csv",
            **shown("segx_dose_table", "dose response", "table", "SegX"),
        ),
    log:
        "logs/make_doses_table.log",
    benchmark:
        "benchmarks/make_doses_table.tsv"
    conda:
        "../envs/report.yaml"
    params:
        cells=list(aligned("doses").values()),
        statistics=config["statistics"],
        code=source_digest("make_doses_table"),
    script:
        "../scripts/make_doses_table.py"


rule make_shortcut_table:
    """Whether explanations and SegU show the planted shortcut."""
    input:
        scores=list(aligned("shortcut", SHORTCUTS)),
    output:
        csv=report(
            "results/tables/segx_shortcut.csv",
            **shown("segx_shortcut", "planted shortcut", "table", "SegX"),
        ),
    log:
        "logs/make_shortcut_table.log",
    benchmark:
        "benchmarks/make_shortcut_table.tsv"
    conda:
        "../envs/report.yaml"
    params:
        cells=list(aligned("shortcut", SHORTCUTS).values()),
        statistics=config["statistics"],
        code=source_digest("make_shortcut_table"),
    script:
        "../scripts/make_shortcut_table.py"
