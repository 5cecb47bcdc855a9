"""One self-contained page: what was run, what came out, and the images behind it."""

from pathlib import Path

import numpy as np
import pandas as pd

from segxai.data.records import read_facts, read_rows
from segxai.data.splits import TEST, TRAIN, VALIDATION
from segxai.report import page as report
from segxai.report.datasets import arrange
from segxai.report.examples import read_examples
from segxai.report.gallery import figure, gallery
from segxai.report.provenance import commit, read_benchmarks, versions
from segxai.report.style import colours
from segxai.report.tables import single_objects
from segxai.runtime import atomic_path, job, log


def main(tables, tests, claims, figures, segx, segx_figures, by_dataset, texts, study, page):
    tables, tests = map(read_all, (tables, tests))
    claims = pd.read_csv(claims)
    texts = {Path(path).name: Path(path).read_text() for path in texts}
    titles, methods = study["titles"], study["methods"]
    datasets = [
        {
            "name": name,
            "title": titles[name],
            "definition": study["datasets"][name],
            **report.outcome(name, tables, tests, claims, study),
            **was_run(files, study),
        }
        for name, files in by_dataset.items()
    ]
    shades = colours(study["roles"])
    shades[study["ours"]] = shades[methods[study["headline"]]]
    pictures = {name: gallery(read_examples(*one["examples"])) for name, one in by_dataset.items()}
    pictured = {name: methods[name] for name in study["pictured"]}
    told = {
        **study,
        **report.claims(claims, titles),
        "data": arrange(tables["dataset_summary"], titles),
        "objects": single_objects(tables.get("explainseg_instances"), titles),
        # Each part of the page is there if it was run.
        "datasets": datasets,
        "segx": read_facts(segx[0]) if segx else None,
        "colours": shades,
        "figures": captioned(figures, texts),
        "segx_figures": captioned(segx_figures, texts),
        "deviations": report.headings(texts),
        "browser": {"datasets": pictures, "methods": pictured, "colours": shades},
        # What Snakemake measured of the jobs so far is no input: it would force a rerun.
        "costs": report.costs(read_benchmarks(Path("benchmarks"))),
        "commit": commit(),
        "versions": versions(),
    }
    html = report.render(texts, told)
    log.info("%.1f MB", len(html.encode()) / 1e6)
    with atomic_path(page) as path:
        path.write_text(html)


def captioned(figures, texts) -> list[dict]:
    """Figures with their captions."""
    return [figure(Path(path).read_bytes(), texts[f"{Path(path).stem}.rst"]) for path in figures]


def read_all(paths) -> dict[str, pd.DataFrame]:
    """Tables by name, without `_tests`."""
    return {Path(path).stem.removesuffix("_tests"): pd.read_csv(path) for path in paths}


def was_run(files, study) -> dict:
    """What was run on one data set, from its files."""
    samples, rejected = map(read_rows, files["data"])
    explained = pd.concat(map(read_rows, files["facts"]))
    cards, baseline_cards = (
        [read_facts(path) for path in files[key]] for key in ("cards", "baseline_cards")
    )
    # The seeds of one classifier after those of the other.
    learners = np.repeat(study["learners"], len(study["settings"]["seeds"]))
    trials = zip(study["roles"]["variants"], files["trials"], strict=True)
    return {
        "n": len(samples),
        **{side: int((samples.split == side).sum()) for side in (TRAIN, VALIDATION, TEST)},
        "rejected": len(rejected),
        "explained": explained.image_id.nunique(),
        "completeness": report.completeness(explained),
        "seconds": explained.seconds.mean(),
        "cards": [card | {"origin": report.origin(card)} for card in cards],
        "baseline_cards": [
            card | {"row": row} for row, card in zip(learners, baseline_cards, strict=True)
        ],
        # The cuts of one baseline after those of the other.
        "cuts": {
            row: report.cuts(
                pd.concat(map(read_rows, report.part(files["cuts"], place, len(study["cutters"]))))
            )
            for place, row in enumerate(study["cutters"])
        },
        "tuning": {row: report.tuning(pd.read_csv(path)) for row, path in trials},
    }


if __name__ == "__main__":
    with job(snakemake):
        given, names = snakemake.input, list(snakemake.params.study["datasets"])
        keys = ("data", "cards", "baseline_cards", "facts", "cuts", "trials", "examples")
        whole = ("tables", "tests", "claims", "figures", "segx", "segx_figures", "texts")
        main(
            **{key: given[key] for key in whole},
            by_dataset={
                name: {key: report.part(given[key], place, len(names)) for key in keys}
                for place, name in enumerate(names)
            },
            study=snakemake.params.study,
            page=snakemake.output.page,
        )
