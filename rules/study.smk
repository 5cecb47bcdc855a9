"""Tables of the studies: results/tables, with intervals, tests and published numbers."""


rule make_table:
    """A table of a study: its tidy form, its printed forms, and its tests."""
    input:
        unpack(of_job(studies.table_files)),
        published=PUBLISHED,
    output:
        csv=report("results/tables/{table}.csv", **printed("Tables", "table")),
        md="results/tables/{table}.md",
        tex="results/tables/{table}.tex",
        tests=report("results/tables/{table}_tests.csv", **printed("Tests", "tests")),
    log:
        "logs/make_table/{table}.log",
    benchmark:
        "benchmarks/make_table/{table}.tsv"
    wildcard_constraints:
        table="|".join(TABLES),
    conda:
        env("report")
    params:
        **params_of(shown.table_facts, "spec", "titles", "names", "segmenters", "selections"),
        statistics=config["statistics"],
        code=digest("make_table"),
    script:
        "../scripts/make_table.py"


rule recommend_explainers:
    """Which explainers the scores of a study recommend, by goal and budget."""
    input:
        unpack(of_job(studies.guideline_files)),
    output:
        csv=report("results/tables/{table}.csv", **printed("Tables", "guidelines")),
        regret="results/tables/{table}_regret.csv",
        md="results/tables/{table}.md",
        tex="results/tables/{table}.tex",
    log:
        "logs/recommend_explainers/{table}.log",
    benchmark:
        "benchmarks/recommend_explainers/{table}.tsv"
    wildcard_constraints:
        table="|".join(GUIDELINES) or "none^",
    conda:
        env("report")
    params:
        **params_of(shown.guideline_facts, "spec", "titles", "names", "selections"),
        statistics=config["statistics"],
        code=digest("recommend_explainers"),
    script:
        "../scripts/recommend_explainers.py"


rule make_dataset_summary:
    """Images, groups, classes, subsets, mask areas and rejected files of every data set."""
    input:
        receipts=collect("results/raw/{dataset}.json", dataset=DATASETS),
        samples=collect("results/data/{dataset}/samples.csv", dataset=DATASETS),
        rejected=collect("results/data/{dataset}/rejected.csv", dataset=DATASETS),
        patches=collect("results/data/{dataset}/patches.csv", dataset=DATASETS),
        published=local(f"{workflow.basedir}/config/published/counts.csv"),
        official=local(f"{workflow.basedir}/config/official_counts.csv"),
    output:
        csv=report(
            "results/tables/dataset_summary.csv",
            caption="../report/dataset_summary.rst",
            category="Data",
            labels={"table": "Data sets", "name": "dataset_summary"},
        ),
        md="results/tables/dataset_summary.md",
        tex="results/tables/dataset_summary.tex",
    log:
        "logs/make_dataset_summary.log",
    benchmark:
        "benchmarks/make_dataset_summary.tsv"
    conda:
        env("report")
    params:
        definitions={
            name: {
                key: config["datasets"][name][key]
                for key in ("title", "analysis_size", "classes", "patches", "licence", "citation")
            }
            for name in DATASETS
        },
        code=digest("make_dataset_summary"),
    script:
        "../scripts/make_dataset_summary.py"


rule check_claims:
    """Verdict on every published number: reproduced, differs, or not comparable and why."""
    input:
        tables=collect("results/tables/{table}.csv", table=TABLES),
        summary="results/tables/dataset_summary.csv",
        published=PUBLISHED,
        counts=local(f"{workflow.basedir}/config/published/counts.csv"),
        known_networks=local(f"{workflow.basedir}/config/published/networks.csv"),
    output:
        verdicts=report(
            "results/tables/claims.csv",
            caption="../report/claims.rst",
            category="Published",
            labels={"table": "Published numbers, one by one", "name": "claims"},
        ),
    log:
        "logs/check_claims.log",
    benchmark:
        "benchmarks/check_claims.tsv"
    conda:
        env("report")
    params:
        max_images={name: config["datasets"][name]["max_images"] for name in DATASETS},
        selections={
            name: studies.own_selections(config, name, study["datasets"])
            for name, study in STUDIES.items()
        },
        networks={
            name: config["networks"][name]
            for study in STUDIES.values()
            for name in shown.names(config, study)["network"]
        },
        code=digest("check_claims"),
    script:
        "../scripts/check_claims.py"
