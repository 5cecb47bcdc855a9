"""segxai: from raw public images to every table and figure of ExplainSeg and SegX."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.25")


for definition in sorted(Path(workflow.basedir, "config/datasets").glob("*.yaml")):

    configfile: str(definition)


configfile: f"{workflow.basedir}/config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/wildcards.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/explain.smk"
include: "rules/segment.smk"
include: "rules/baselines.smk"
include: "rules/segx.smk"
include: "rules/segx_tables.smk"
include: "rules/summary.smk"
include: "rules/evaluate.smk"
include: "rules/instances.smk"
include: "rules/figures.smk"
include: "rules/segx_figures.smk"
include: "rules/report.smk"


onerror:
    for sentence in job_errors(Path("logs"), STARTED):
        print(sentence, file=sys.stderr)


rule all:
    """Every table, every figure, and the page that shows them."""
    default_target: True
    input:
        "results/report.html",
        collect(
            "results/tables/{table}.csv",
            table=["dataset_summary", *TABLES, *INSTANCE_TABLES, *SEGX_TABLES, "claims"],
        ),
        collect(
            "results/figures/{figure}.{suffix}",
            figure=[*(f"explainseg_{name}" for name in FIGURES), *SEGX_FIGURES],
            suffix=["png", "pdf"],
        ),
