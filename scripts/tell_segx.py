"""What the page says of SegX and SegU: sentences and arranged tables, made of the run's tables."""

import json
from pathlib import Path

import pandas as pd

from segxai.datasets.splits import TEST, TRAIN, VALIDATION
from segxai.job.files import atomic_path, read_facts, read_rows
from segxai.job.log import job, log
from segxai.page.page import part, with_verdicts
from segxai.page.segx_layout import arrange, shared_groups, trained
from segxai.page.segx_page import answer
from segxai.page.summary import of_segx


def main(tables, tests, claims, by_dataset, study, told):
    tests = {Path(path).stem.removesuffix("_tests"): pd.read_csv(path) for path in tests}
    claims = pd.read_csv(claims)
    tables = {Path(path).stem: pd.read_csv(path) for path in tables}
    # Those of the two tables that have published numbers.
    tables |= {name: with_verdicts(tables[name], claims) for name in tests}
    titles = study["titles"]
    datasets = [
        {
            "title": titles[name],
            **study["datasets"][name],
            "name": name,
            "summary": of_segx(name, tables, tests["segx_alignment"], claims),
            **answer(name, tables, tests, claims),
            **was_run(**files),
        }
        for name, files in by_dataset.items()
    ]
    for one in datasets:
        log.info("%s: %s", one["title"], one["headline"])
    facts = {"datasets": datasets, "tables": arrange(tables, tests, titles), "study": study}
    with atomic_path(told) as path:
        path.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def was_run(data, cards) -> dict:
    """What was run on one data set: its images, and the networks trained on them."""
    samples, rejected = map(read_rows, data)
    cards = [read_facts(path) for path in cards]
    return {
        "subsets": {name: int((samples.split == name).sum()) for name in (TRAIN, VALIDATION, TEST)},
        "shared": shared_groups(samples),
        "rejected": len(rejected),
        "networks": [trained(card) for card in cards],
        "cost": [
            {key: card[key] for key in ("architecture", "seed", "seconds", "device", "torch")}
            for card in cards
        ],
    }


if __name__ == "__main__":
    with job(snakemake):
        given, names = snakemake.input, list(snakemake.params.study["titles"])
        main(
            tables=given.tables,
            tests=given.tests,
            claims=given.claims,
            by_dataset={
                name: {key: part(given[key], place, len(names)) for key in ("data", "cards")}
                for place, name in enumerate(names)
            },
            study=snakemake.params.study,
            told=snakemake.output.told,
        )
