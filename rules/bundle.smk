"""What goes beside a paper: results/exports/bundle.zip, made on demand."""

from snakemake import __version__ as SNAKEMAKE

SOURCES = ["Snakefile", "Makefile", "README.md", "LICENSE", "CITATION.cff", "requirements.*"]
SOURCES += [
    "config/**/*",
    "envs/*",
    "profiles/**/*",
    "report/*",
    "rules/*",
    "scripts/*",
    "segxai/**/*",
]


def sources(_):
    """Files of the checkout that a run reads."""
    paths = {path for name in SOURCES for path in Path(workflow.basedir).glob(name)}
    return [
        local(str(path))
        for path in sorted(paths)
        if path.is_file() and "__pycache__" not in path.parts
    ]


def steps(_):
    """Script, meaning, and patterns of benchmark and outputs of every other rule that has jobs."""
    return {
        made.name: {
            "script": f"scripts/{Path(made.script).name}",
            "about": made.docstring.splitlines()[0],
            "benchmark": str(made.benchmark),
            "output": list(map(str, made.output)),
        }
        for made in workflow.rules
        if made.script and made.name != "bundle"
    }


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
        "../envs/report.yaml"
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
