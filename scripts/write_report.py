"""One self-contained page: what was run, what came out, and the images behind it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.data.records import read_rows
from segxai.report import page as report
from segxai.report.examples import read_examples
from segxai.report.gallery import figure, gallery
from segxai.report.provenance import commit, read_benchmarks, versions
from segxai.report.style import colours
from segxai.runtime import atomic_path, job, log


def main(tables, tests, claims, figures, by_dataset, texts, study, page):
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
    pictures = {
        name: gallery(read_examples(*files["examples"])) for name, files in by_dataset.items()
    }
    pictured = {name: methods[name] for name in study["pictured"]}
    told = {
        **study,
        **report.claims(claims, titles),
        "datasets": datasets,
        "colours": shades,
        "figures": [
            figure(Path(path).read_bytes(), texts[f"{Path(path).stem}.rst"]) for path in figures
        ],
        "deviations": report.headings(texts.get("deviations.md", "")),
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


def read_all(paths) -> dict[str, pd.DataFrame]:
    """Tables by name, without `_tests`."""
    return {Path(path).stem.removesuffix("_tests"): pd.read_csv(path) for path in paths}


def was_run(files, study) -> dict:
    """What was run on one data set, from its files."""
    samples, rejected = map(read_rows, files["data"])
    explained = pd.concat(map(read_rows, files["facts"]))
    cards, baseline_cards = (
        [json.loads(Path(path).read_text()) for path in files[key]]
        for key in ("cards", "baseline_cards")
    )
    # The cuts of one baseline after those of the other, each in as many files as the maps.
    n_files = len(files["facts"])
    cuts = [
        files["cuts"][start : start + n_files] for start in range(0, len(files["cuts"]), n_files)
    ]
    # The seeds of one classifier after those of the other.
    learners = np.repeat(study["learners"], len(study["settings"]["seeds"]))
    trials = zip(study["roles"]["variants"], files["trials"], strict=True)
    return {
        "n": len(samples),
        "train": int((samples.split == "train").sum()),
        "validation": int((samples.split == "validation").sum()),
        "rejected": len(rejected),
        "explained": explained.image_id.nunique(),
        "completeness": report.completeness(explained),
        "seconds": explained.seconds.mean(),
        "cards": [card | {"origin": report.origin(card)} for card in cards],
        "baseline_cards": [
            card | {"row": row} for row, card in zip(learners, baseline_cards, strict=True)
        ],
        "cuts": {
            row: report.cuts(pd.concat(map(read_rows, paths)))
            for row, paths in zip(study["cutters"], cuts, strict=True)
        },
        "tuning": {row: report.tuning(pd.read_csv(path)) for row, path in trials},
    }


if __name__ == "__main__":
    with job(snakemake):
        given, names = snakemake.input, list(snakemake.params.study["titles"])
        # Each of these lists the files of one data set after those of the other.
        keys = ("data", "cards", "baseline_cards", "facts", "cuts", "trials", "examples")
        parts = {key: np.reshape(given[key], (len(names), -1)).tolist() for key in keys}
        main(
            tables=given.tables,
            tests=given.tests,
            claims=given.claims,
            figures=given.figures,
            by_dataset={
                name: {key: parts[key][place] for key in keys} for place, name in enumerate(names)
            },
            texts=given.texts,
            study=snakemake.params.study,
            page=snakemake.output.page,
        )
