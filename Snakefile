"""segxai: from raw public images to every table and figure of its studies."""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.25")


for part in ("datasets", "studies"):
    for file in sorted(Path(workflow.basedir, "config", part).glob("*.yaml")):

        configfile: str(file)


configfile: f"{workflow.basedir}/config/config.yaml"


report: "report/workflow.rst"


include: "rules/common.smk"
include: "rules/inputs.smk"
include: "rules/data.smk"
include: "rules/networks.smk"
include: "rules/explain.smk"
include: "rules/segment.smk"
include: "rules/score.smk"
include: "rules/study.smk"
include: "rules/figures.smk"
include: "rules/page.smk"
include: "rules/bundle.smk"


onstart:
    results.write(config, workflow.overwrite_configfiles, Path("results"))


onerror:
    for sentence in job_errors(Path("logs"), STARTED):
        print(sentence, file=sys.stderr)


rule maps:
    """The attributions of every explainer that a selected study names."""
    input:
        studies.check_files(config),
        studies.map_files(config),


rule masks:
    """The masks of every segmenter that a selected study names."""
    input:
        studies.check_files(config),
        studies.mask_files(config),


rule scores:
    """The score files of every selected study."""
    input:
        studies.check_files(config),
        studies.score_files(config),


rule tables:
    """Every table of the selected studies, the data summary and the verdicts."""
    input:
        studies.check_files(config),
        collect(
            "results/tables/{table}.csv",
            table=[*TABLES, *GUIDELINES, "dataset_summary", "claims"],
        ),


rule figures:
    """Every figure of the selected studies."""
    input:
        studies.check_files(config),
        collect("results/figures/{figure}.{suffix}", figure=FIGURES, suffix=["png", "pdf"]),


rule all:
    """Every table, every figure, and the report page."""
    default_target: True
    input:
        "results/report.html",
        rules.tables.input,
        rules.figures.input,
