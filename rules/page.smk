"""Report page with every table, figure and number of the run."""


rule write_report:
    """One self-contained page with settings, results and images of the run."""
    input:
        **shown.example_files(config, *STUDIES),
        tables=collect("results/tables/{table}.csv", table=TABLES),
        tests=collect("results/tables/{table}_tests.csv", table=TABLES),
        guidelines=collect("results/tables/{table}.csv", table=GUIDELINES),
        claims="results/tables/claims.csv",
        summary="results/tables/dataset_summary.csv",
        figures=collect("results/figures/{figure}.png", figure=FIGURES),
        captions=[
            local(str(file)) for file in sorted(Path(workflow.basedir, "report").glob("*.rst"))
        ],
        texts=[
            local(f"{workflow.basedir}/segxai/page/page.{suffix}")
            for suffix in ("html.j2", "css", "js")
        ],
    output:
        page=report(
            "results/report.html",
            caption="../report/page.rst",
            category="Page",
            labels={"page": "Tables, figures, images and cost"},
        ),
    log:
        "logs/write_report.log",
    benchmark:
        "benchmarks/write_report.tsv"
    conda:
        env("report")
    params:
        spec=shown.page(config),
        code=digest("write_report"),
    script:
        "../scripts/write_report.py"
