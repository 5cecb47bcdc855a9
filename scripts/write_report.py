"""One self-contained page: what was run, what came out, and the images behind it."""

from pathlib import Path

import numpy as np
import pandas as pd

from segxai.figures.examples import read_examples
from segxai.figures.style import colours
from segxai.job.files import atomic_path, read_facts
from segxai.job.log import job, log
from segxai.page import page as report
from segxai.page import summary
from segxai.page.gallery import figure, of_explainseg, of_segx
from segxai.page.provenance import commit, hardware, read_benchmarks, versions
from segxai.stats.dataset_summary import arrange
from segxai.stats.tables import single_objects


def main(tables, claims, told, examples, figures, segx_figures, texts, study, page):
    tables = {Path(path).stem: pd.read_csv(path) for path in tables}
    texts = {Path(path).name: Path(path).read_text() for path in texts}
    # Each study is there if it was run.
    told = {Path(path).stem: read_facts(path) for path in told}
    datasets, segx = told.get("explainseg", {}).get("datasets", []), told.get("segx")
    shades = shades_of(study)
    browser = browse(examples, study, shades)
    # What Snakemake measured of the jobs so far is no input: it would force a rerun.
    benchmarks = read_benchmarks(Path("benchmarks"))
    facts = {
        **study,
        **report.claims(pd.read_csv(claims), study["titles"]),
        "data": arrange(tables["dataset_summary"], study["titles"]),
        "objects": single_objects(tables.get("explainseg_instances"), study["titles"]),
        "datasets": datasets,
        "segx": segx,
        "glances": [
            summary.glance(kind, one, browser, benchmarks)
            for kind, some in (("explainseg", datasets), ("segx", segx["datasets"] if segx else []))
            for one in some
        ],
        "marks": summary.MARKS,
        "devices": devices(datasets, segx),
        "colours": shades,
        "figures": captioned(figures, texts),
        "segx_figures": captioned(segx_figures, texts),
        "deviations": report.headings(texts),
        "browser": browser,
        "costs": report.costs(benchmarks),
        "commit": commit(),
        "hardware": hardware(),
        "versions": versions(),
    }
    html = report.render(texts, facts)
    log.info("%.1f MB", len(html.encode()) / 1e6)
    with atomic_path(page) as path:
        path.write_text(html)


def shades_of(study) -> dict[str, str]:
    """Colour of each row of ExplainSeg's tables."""
    shades = colours(study["roles"])
    return shades | {study["ours"]: shades[study["methods"][study["headline"]]]}


def browse(examples, study, shades) -> dict:
    """What the browser shows of each data set, by study and name."""
    # Arrays and table of one data set after those of the other.
    read = (read_examples(*pair) for pair in np.reshape(examples, (-1, 2)))
    pictured = {name: study["methods"][name] for name in study["pictured"]}
    shown = {}
    for kind, names in study["pictures"].items():
        for name in names:
            title, found = study["titles"][name], next(read)
            shown[f"{kind}/{name}"] = (
                of_segx(found, title, study["rows"])
                if kind == "segx"
                else of_explainseg(found, title, pictured, shades, study["headline"])
            )
    return shown


def devices(datasets, segx) -> list[str]:
    """Devices on which networks were trained."""
    cards = [card for one in datasets for card in one["cards"] + one["baseline_cards"]]
    cards += [card for one in (segx["datasets"] if segx else []) for card in one["cost"]]
    return sorted({card["device"] for card in cards})


def captioned(figures, texts) -> list[dict]:
    """Figures with their captions."""
    return [figure(Path(path).read_bytes(), texts[f"{Path(path).stem}.rst"]) for path in figures]


if __name__ == "__main__":
    with job(snakemake):
        keys = ("tables", "claims", "told", "examples", "figures", "segx_figures", "texts")
        main(
            **{key: snakemake.input[key] for key in keys},
            study=snakemake.params.study,
            page=snakemake.output.page,
        )
