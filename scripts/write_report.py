"""Report: one self-contained page with settings, results and images of the run."""

from pathlib import Path

from segxai.figures.examples import read_examples
from segxai.job.files import atomic_path, read_rows
from segxai.job.log import log, run
from segxai.page.gallery import browse, figure
from segxai.page.page import costs, published, render
from segxai.page.provenance import read_benchmarks, versions
from segxai.page.tables import (
    all_numbers,
    arrange,
    comparisons,
    normalise,
    with_verdicts,
    within_rows,
)
from segxai.stats.dataset_summary import arrange as arrange_summary
from segxai.stats.guidelines import printed
from segxai.workflow.provenance import commit, hardware


def main(
    tables, tests, guidelines, claims, summary, arrays, examples, figures, captions, texts, spec,
    page,
):  # fmt: skip
    claims, captions = normalise(read_rows(claims)), read_texts(captions)
    tables = {Path(path).stem: normalise(read_rows(path)) for path in tables}
    tests = {Path(path).stem.removesuffix("_tests"): normalise(read_rows(path)) for path in tests}
    judged = {Path(path).stem: read_rows(path) for path in guidelines}
    pictures = {Path(path).stem: Path(path).read_bytes() for path in figures}
    facts = {
        **published(claims, spec["titles"]),
        "spec": spec,
        "tables": {
            name: show_table(with_verdicts(table, claims), tests[name], name, spec)
            for name, table in tables.items()
        },
        "figures": {
            name: figure(png, captions[f"{spec['figures'][name]['kind']}.rst"])
            for name, png in pictures.items()
        },
        "guidelines": {
            name: printed(table, spec["titles"], spec["names"]).to_dict("records")
            for name, table in judged.items()
        },
        "captions": captions,
        "numbers": {name: all_numbers(table) for name, table in tables.items()}
        | {f"{name}_tests": all_numbers(table) for name, table in tests.items()}
        | {name: all_numbers(table) for name, table in judged.items()},
        "browser": browsers(map(read_examples, arrays, examples), spec),
        "data": arrange_summary(read_rows(summary), spec["titles"]),
        # Snakemake's measurements of jobs are not an input: as one they would force a rerun.
        "costs": costs(read_benchmarks(Path("benchmarks"))),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
    }
    html = render(read_texts(texts), facts)
    log.info("%.1f MB", len(html.encode()) / 1e6)
    with atomic_path(page) as path:
        path.write_text(html, encoding="utf-8")


def read_texts(paths):
    """Texts by the names of their files."""
    return {Path(path).name: Path(path).read_text(encoding="utf-8") for path in paths}


def show_table(table, tests, name, spec):
    """One printed table with its comparisons."""
    described = (spec["tables"][name], spec["titles"], spec["names"])
    lines = comparisons(table, tests, *described, spec["directions"])
    lines += within_rows(tests, spec["titles"], spec["names"])
    return {**arrange(table, *described), "comparisons": lines}


def browsers(panels, spec):
    """Content of the browser by study and data set."""
    shown = {}
    for panel in panels:
        if len(panel.table):
            study, dataset = panel.table.study.iloc[0], panel.table.dataset.iloc[0]
            described = spec["studies"][study]
            shown[f"{study}/{dataset}"] = browse(panel, described, spec["titles"][dataset])
    return shown


if __name__ == "__main__":
    run(main, snakemake)
