"""Pictures: results/examples/{study}, and results/figures by kind of figure."""


rule choose_examples:
    """Example images or targets of a data set, with maps, masks and scores."""
    input:
        unpack(of_job(shown.examples)),
        **TRUTH,
        images="results/data/{dataset}/images.npy",
    output:
        arrays="results/examples/{study}/{dataset}.npz",
        table="results/examples/{study}/{dataset}.csv",
    log:
        "logs/choose_examples/{study}/{dataset}.log",
    benchmark:
        "benchmarks/choose_examples/{study}/{dataset}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.example_facts, "map_paths", "mask_paths", "of", "spec", "headline"),
        display=dataset("display"),
        view=config["views"]["relevance"],
        code=digest("choose_examples", views=config["views"]["relevance"]["method"]),
    script:
        "../scripts/choose_examples.py"


rule draw_mask_examples:
    """Best, median and worst image of each data set with the masks of some segmenters."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("mask_examples"),
    log:
        "logs/draw_mask_examples/{figure}.log",
    benchmark:
        "benchmarks/draw_mask_examples/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "titles", "methods", "shown", "rank", "rank_title"),
        code=digest("draw_mask_examples"),
    script:
        "../scripts/draw_mask_examples.py"


rule draw_map_examples:
    """Maps beside their part in the segmentation: correct predictions and a confident error."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("map_examples"),
    log:
        "logs/draw_map_examples/{figure}.log",
    benchmark:
        "benchmarks/draw_map_examples/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "titles", "methods", "shown", "values"),
        code=digest("draw_map_examples"),
    script:
        "../scripts/draw_map_examples.py"


rule draw_map_grid:
    """Maps of some predictions by all explainers, side by side."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("map_grid"),
    log:
        "logs/draw_map_grid/{figure}.log",
    benchmark:
        "benchmarks/draw_map_grid/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "titles", "methods", "shown", "controls"),
        code=digest("draw_map_grid"),
    script:
        "../scripts/draw_map_grid.py"


rule draw_distributions:
    """A score of each image by segmenter, with means and their intervals."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("distributions"),
    log:
        "logs/draw_distributions/{figure}.log",
    benchmark:
        "benchmarks/draw_distributions/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "spec", "titles", "segmenters"),
        code=digest("draw_distributions"),
    script:
        "../scripts/draw_distributions.py"


rule draw_risk_coverage:
    """Error rate among the most confident predictions, for each confidence."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("risk_coverage"),
    log:
        "logs/draw_risk_coverage/{figure}.log",
    benchmark:
        "benchmarks/draw_risk_coverage/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "spec", "titles", "rows"),
        code=digest("draw_risk_coverage"),
    script:
        "../scripts/draw_risk_coverage.py"


rule draw_responses:
    """Scores by the dose of damage to the segmentation."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("responses"),
    log:
        "logs/draw_responses/{figure}.log",
    benchmark:
        "benchmarks/draw_responses/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "declared", "titles", "rows", "names"),
        code=digest("draw_responses"),
    script:
        "../scripts/draw_responses.py"


rule draw_dots:
    """The numbers of a table as dots with intervals."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("dots"),
    log:
        "logs/draw_dots/{figure}.log",
    benchmark:
        "benchmarks/draw_dots/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "declared", "controls", "titles", "names"),
        code=digest("draw_dots"),
    script:
        "../scripts/draw_dots.py"


rule draw_agreement:
    """How alike metrics order the methods of a table."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("agreement"),
    log:
        "logs/draw_agreement/{figure}.log",
    benchmark:
        "benchmarks/draw_agreement/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "declared", "titles", "names", "families"),
        code=digest("draw_agreement"),
    script:
        "../scripts/draw_agreement.py"


rule draw_front:
    """A score of each explainer against its passes."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("front"),
    log:
        "logs/draw_front/{figure}.log",
    benchmark:
        "benchmarks/draw_front/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(
            shown.figure_facts, "spec", "declared", "directions", "controls", "titles", "names"
        ),
        code=digest("draw_front"),
    script:
        "../scripts/draw_front.py"


rule draw_training:
    """Loss and validation score of networks by epoch."""
    input:
        unpack(of_job(shown.figure_files)),
    output:
        **drawn("training"),
    log:
        "logs/draw_training/{figure}.log",
    benchmark:
        "benchmarks/draw_training/{figure}.tsv"
    conda:
        env("report")
    params:
        **params_of(shown.figure_facts, "networks"),
        code=digest("draw_training"),
    script:
        "../scripts/draw_training.py"
