"""Bundle to deposit with a paper: results/exports/bundle.zip, made on demand."""

from snakemake import __version__ as SNAKEMAKE


rule bundle:
    """The run as an RO-Crate: code, configuration, receipts, lock, tables, figures, page, steps."""
    input:
        sources=sources,
        receipts=collect("results/raw/{dataset}.json", dataset=DATASETS),
        tables=collect(
            "results/tables/{table}.{suffix}",
            table=[*TABLES, "dataset_summary"],
            suffix=["csv", "md", "tex"],
        ),
        tests=collect("results/tables/{table}_tests.csv", table=TABLES),
        claims="results/tables/claims.csv",
        figures=collect("results/figures/{figure}.{suffix}", figure=FIGURES, suffix=["png", "pdf"]),
        page="results/report.html",
    output:
        archive="results/exports/bundle.zip",
    log:
        "logs/bundle.log",
    benchmark:
        "benchmarks/bundle.tsv"
    conda:
        env("report")
    params:
        steps=steps,
        configuration=results.text(results.without_folders(config)),
        datasets={
            name: {key: config["datasets"][name][key] for key in ("title", "licence", "citation")}
            | {"downloads": results.downloads(config["datasets"][name]["source"])}
            for name in DATASETS
        },
        titles={name: made["title"] for name, made in TABLES.items()},
        facts={"snakemake": SNAKEMAKE, **config["bundle"]},
        code=digest("bundle"),
    script:
        "../scripts/bundle.py"
