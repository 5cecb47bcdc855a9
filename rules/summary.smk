"""What the data sets hold, beside the counts of the papers and of the data sets' makers."""

DEFINITIONS = {
    name: {
        key: config["datasets"][name][key]
        for key in ("title", "analysis_size", "classes", "patches", "licence", "citation")
    }
    for name in ALL_TITLES
}


rule make_dataset_summary:
    """Images, groups, classes, subsets, mask areas and rejected files of every data set."""
    input:
        receipts=collect("results/raw/{dataset}.json", dataset=ALL_TITLES),
        samples=collect("results/data/{dataset}/samples.csv", dataset=ALL_TITLES),
        rejected=collect("results/data/{dataset}/rejected.csv", dataset=ALL_TITLES),
        patches=collect("results/data/{dataset}/patches.csv", dataset=ALL_TITLES),
        published=PUBLISHED,
        official=OFFICIAL,
    output:
        csv=report(
            "results/tables/dataset_summary.csv",
            **shown("dataset_summary", "data sets", "table", category="Data"),
        ),
        md="results/tables/dataset_summary.md",
        tex="results/tables/dataset_summary.tex",
    log:
        "logs/make_dataset_summary.log",
    benchmark:
        "benchmarks/make_dataset_summary.tsv"
    conda:
        "../envs/report.yaml"
    params:
        definitions=DEFINITIONS,
        code=source_digest("make_dataset_summary"),
    script:
        "../scripts/make_dataset_summary.py"
