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


def main(tables, figures, data, cards, facts, trials, examples, texts, study, page):
    table, tests, claims = (pd.read_csv(path) for path in tables)
    texts = {Path(path).name: Path(path).read_text() for path in texts}
    titles, variants = study["titles"], study["variants"]
    datasets = [
        {
            "name": name,
            "title": titles[name],
            "definition": study["datasets"][name],
            **came_out(name, table, tests, claims, study),
            **was_run(*files, variants.values()),
        }
        for name, *files in zip(titles, data, cards, facts, trials, strict=True)
    ]
    shades = colours([*variants.values(), *study["controls"]])
    pictures = {
        name: gallery(read_examples(*files)) for name, files in zip(titles, examples, strict=True)
    }
    told = {
        **study,
        **report.claims(claims, titles),
        "datasets": datasets,
        "colours": shades,
        "figures": [
            figure(Path(path).read_bytes(), texts[f"{Path(path).stem}.rst"]) for path in figures
        ],
        "deviations": report.headings(texts.get("deviations.md", "")),
        "browser": {"datasets": pictures, "methods": variants, "colours": shades},
        # What Snakemake measured of the jobs so far is no input: it would force a rerun.
        "costs": report.costs(read_benchmarks(Path("benchmarks"))),
        "commit": commit(),
        "versions": versions(),
    }
    html = report.render(texts, told)
    log.info("%.1f MB", len(html.encode()) / 1e6)
    with atomic_path(page) as path:
        path.write_text(html)


def came_out(dataset, table, tests, claims, study) -> dict:
    """What came out for one data set: in words, its table and its tests."""
    variants, controls = [*study["variants"].values()], study["controls"]
    groups = {
        "ExplainSeg, refined by DenseCRF": variants,
        "Controls that see no explanation": controls,
        "ExplainSeg, before DenseCRF": study["coarse"],
    }
    return {
        "answer": report.answer(dataset, table, tests, claims, variants, controls),
        "ablation": report.ablation(table[table.dataset == dataset], groups),
        "tests": tests[tests.dataset == dataset].to_dict("records"),
    }


def was_run(data, cards, facts, trials, rows) -> dict:
    """What was run on one data set, from its files."""
    samples, rejected = (read_rows(path) for path in data)
    explained = pd.concat(map(read_rows, facts))
    found = [json.loads(Path(path).read_text()) for path in cards]
    return {
        "n": len(samples),
        "train": int((samples.split == "train").sum()),
        "validation": int((samples.split == "validation").sum()),
        "rejected": len(rejected),
        "explained": explained.image_id.nunique(),
        "completeness": report.completeness(explained),
        "seconds": explained.seconds.mean(),
        "cards": [card | {"origin": report.origin(card)} for card in found],
        "tuning": {
            row: report.tuning(pd.read_csv(path)) for row, path in zip(rows, trials, strict=True)
        },
    }


if __name__ == "__main__":
    with job(snakemake):
        given, n = snakemake.input, len(snakemake.params.study["titles"])
        # Each of these lists the files of one data set after those of the other.
        data, cards, facts, trials, examples = (
            np.reshape(files, (n, -1)).tolist()
            for files in (given.data, given.cards, given.facts, given.trials, given.examples)
        )
        main(
            tables=given.tables,
            figures=given.figures,
            data=data,
            cards=cards,
            facts=facts,
            trials=trials,
            examples=examples,
            texts=given.texts,
            study=snakemake.params.study,
            page=snakemake.output.page,
        )
