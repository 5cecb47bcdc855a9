"""What the page says of ExplainSeg: sentences, arranged tables and what was run, of its tables."""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from segxai.datasets.splits import TEST, TRAIN, VALIDATION
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import job, log
from segxai.page import page as report
from segxai.page.summary import of_explainseg


def main(tables, tests, claims, by_dataset, study, told):
    tables = {Path(path).stem: pd.read_csv(path) for path in tables}
    tests = {Path(path).stem.removesuffix("_tests"): pd.read_csv(path) for path in tests}
    claims = pd.read_csv(claims)
    means, both = tables["explainseg_ablation"], pd.concat(tests.values())
    datasets = [
        {
            "name": name,
            "title": study["titles"][name],
            "definition": study["datasets"][name],
            "summary": of_explainseg(name, means, both, claims, study["roles"]),
            **report.outcome(name, tables, tests, claims, study),
            **was_run(files, study),
        }
        for name, files in by_dataset.items()
    ]
    for one in datasets:
        log.info("%s: %s", one["title"], one["answer"][0])
    with atomic_path(told) as path:
        text = json.dumps({"datasets": datasets}, ensure_ascii=False, indent=1)
        path.write_text(text + "\n", encoding="utf-8")


def was_run(files, study) -> dict:
    """What was run on one data set, from its files."""
    samples, rejected = map(read_rows, files["data"])
    explained = pd.concat(map(read_rows, files["facts"]))
    cards, baseline_cards = (
        [read_facts(path) for path in files[key]] for key in ("cards", "baseline_cards")
    )
    # The seeds of one classifier after those of the other.
    learners = np.repeat(study["learners"], len(study["settings"]["seeds"])).tolist()
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
        keys = ("data", "cards", "baseline_cards", "facts", "cuts", "trials")
        main(
            tables=given.tables,
            tests=given.tests,
            claims=given.claims,
            by_dataset={
                name: {key: report.part(given[key], place, len(names)) for key in keys}
                for place, name in enumerate(names)
            },
            study=snakemake.params.study,
            told=snakemake.output.told,
        )
