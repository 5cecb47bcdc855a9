"""Pictures: results/examples/{study}, and results/figures by kind of figure."""


rule choose_examples:
    """Images or targets of a data set that a reader is shown, with what was made of them."""
    input:
        unpack(lambda wildcards: shown.examples(config, wildcards.study, wildcards.dataset)),
        samples="results/data/{dataset}/samples.csv",
        images="results/data/{dataset}/images.npy",
        truth="results/data/{dataset}/masks.npy",
        outlines="results/data/{dataset}/masks.csv",
    output:
        arrays="results/examples/{study}/{dataset}.npz",
        table="results/examples/{study}/{dataset}.csv",
    log:
        "logs/choose_examples/{study}/{dataset}.log",
    benchmark:
        "benchmarks/choose_examples/{study}/{dataset}.tsv"
    conda:
        "../envs/report.yaml"
    params:
        **example_params,
        display=dataset("display"),
        view=config["views"]["relevance"],
        code=digest("choose_examples", views=config["views"]["relevance"]["method"]),
    script:
        "../scripts/choose_examples.py"


rule draw_mask_examples:
    """Best, median and worst image of each data set with the masks of some segmenters."""
    input:
        unpack(pictures),
    output:
        png=report("results/figures/{figure}.png", **drawn("mask_examples")),
        pdf="results/figures/{figure}.pdf",
    log:
        "logs/draw_mask_examples/{figure}.log",
    benchmark:
        "benchmarks/draw_mask_examples/{figure}.tsv"
    wildcard_constraints:
        figure=of_kind("mask_examples"),
    conda:
        "../envs/report.yaml"
    params:
        titles=titles,
        methods=lambda wildcards: shown.methods(config, study_with(wildcards)),
        shown=lambda wildcards: shown.paths(
            config, study_with(wildcards), FIGURES[wildcards.figure]["segmenters"]
        ),
        rank=lambda wildcards: study_with(wildcards)["examples"]["rank"],
        code=digest("draw_mask_examples"),
    script:
        "../scripts/draw_mask_examples.py"


rule draw_map_examples:
    """Maps beside their part in the segmentation: correct predictions and a confident error."""
    input:
        unpack(pictures),
    output:
        png=report("results/figures/{figure}.png", **drawn("map_examples")),
        pdf="results/figures/{figure}.pdf",
    log:
        "logs/draw_map_examples/{figure}.log",
    benchmark:
        "benchmarks/draw_map_examples/{figure}.tsv"
    wildcard_constraints:
        figure=of_kind("map_examples"),
    conda:
        "../envs/report.yaml"
    params:
        titles=titles,
        methods=lambda wildcards: shown.methods(config, study_with(wildcards)),
        # Of the first network.
        shown=lambda wildcards: [
            "/".join(row)
            for row in shown.rows(study_with(wildcards))
            if row[0] == study_with(wildcards)["networks"][0]
        ],
        values=lambda wildcards: studies.values(study_with(wildcards)["examples"]),
        code=digest("draw_map_examples"),
    script:
        "../scripts/draw_map_examples.py"


rule draw_distributions:
    """A score of every image by segmenter, with means and their intervals."""
    input:
        scores=lambda wildcards: sorted(
            {
                file
                for table in FIGURES[wildcards.figure]["tables"]
                for file in studies.table_files(config, table)["scores"]
            }
        ),
        tables=lambda wildcards: collect(
            "results/tables/{table}.csv", table=FIGURES[wildcards.figure]["tables"]
        ),
    output:
        png=report("results/figures/{figure}.png", **drawn("distributions")),
        pdf="results/figures/{figure}.pdf",
    log:
        "logs/draw_distributions/{figure}.log",
    benchmark:
        "benchmarks/draw_distributions/{figure}.tsv"
    wildcard_constraints:
        figure=of_kind("distributions"),
    conda:
        "../envs/report.yaml"
    params:
        spec=lambda wildcards: FIGURES[wildcards.figure],
        titles=titles,
        segmenters=lambda wildcards: {
            name: {key: config["segmenters"][name][key] for key in ("title", "role")}
            for name in study_with(wildcards)["segmenters"]
        },
        code=digest("draw_distributions"),
    script:
        "../scripts/draw_distributions.py"


rule draw_risk_coverage:
    """Error rate among the most confident predictions, for each confidence."""
    input:
        scores=lambda wildcards: [
            cell["file"]
            for cell in studies.score_cells(
                config,
                FIGURES[wildcards.figure]["study"],
                FIGURES[wildcards.figure]["scores"],
            )
        ],
    output:
        png=report("results/figures/{figure}.png", **drawn("risk_coverage")),
        pdf="results/figures/{figure}.pdf",
    log:
        "logs/draw_risk_coverage/{figure}.log",
    benchmark:
        "benchmarks/draw_risk_coverage/{figure}.tsv"
    wildcard_constraints:
        figure=of_kind("risk_coverage"),
    conda:
        "../envs/report.yaml"
    params:
        spec=lambda wildcards: FIGURES[wildcards.figure],
        titles=titles,
        rows=lambda wildcards: shown.rows(study_with(wildcards)),
        names=lambda wildcards: shown.names(config, study_with(wildcards)),
        code=digest("draw_risk_coverage"),
    script:
        "../scripts/draw_risk_coverage.py"


rule draw_responses:
    """How scores respond to known doses of damage to the segmentation."""
    input:
        table=lambda wildcards: f"results/tables/{FIGURES[wildcards.figure]['table']}.csv",
        mark=lambda wildcards: f"results/tables/{FIGURES[wildcards.figure]['mark']}.csv",
    output:
        png=report("results/figures/{figure}.png", **drawn("responses")),
        pdf="results/figures/{figure}.pdf",
    log:
        "logs/draw_responses/{figure}.log",
    benchmark:
        "benchmarks/draw_responses/{figure}.tsv"
    wildcard_constraints:
        figure=of_kind("responses"),
    conda:
        "../envs/report.yaml"
    params:
        declared=lambda wildcards: TABLES[FIGURES[wildcards.figure]["table"]],
        titles=titles,
        rows=lambda wildcards: shown.rows(study_with(wildcards)),
        names=lambda wildcards: shown.names(config, study_with(wildcards)),
        code=digest("draw_responses"),
    script:
        "../scripts/draw_responses.py"


rule draw_training:
    """Loss and validation score of networks by epoch."""
    input:
        histories=lambda wildcards: [
            f"results/models/{dataset}/{network}/seed-{seed}/history.csv"
            for dataset, network in shown.trained(config, study_with(wildcards))
            for seed in config["seeds"]
        ],
    output:
        png=report("results/figures/{figure}.png", **drawn("training")),
        pdf="results/figures/{figure}.pdf",
    log:
        "logs/draw_training/{figure}.log",
    benchmark:
        "benchmarks/draw_training/{figure}.tsv"
    wildcard_constraints:
        figure=of_kind("training"),
    conda:
        "../envs/report.yaml"
    params:
        networks=lambda wildcards: [
            {
                "title": f"{config['datasets'][name]['title']}, {config['networks'][network]['title']}",
                "loss": config["networks"][network]["training"]["loss"],
                "seeds": config["seeds"],
            }
            for name, network in shown.trained(config, study_with(wildcards))
        ],
        code=digest("draw_training"),
    script:
        "../scripts/draw_training.py"
