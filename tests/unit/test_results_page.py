"""Tables of runs in a page: what a run measured, the run's name, and nothing else, is replaced."""

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

from segxai.exports import results_page
from segxai.job.log import InputError
from segxai.workflow import provenance, results

PAGE = """# Results

Before.

<!-- table: first scores -->
Earlier table, 0.5.
<!-- end -->

Between, 0.5.

<!-- table: absent scores -->
Earlier table of a run that is gone.
<!-- end -->
"""
TABLE = "| Method   | Dice   |\n|:---------|:-------|\n| a        | 0.25   |\n"


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder with one finished run of a table, recorded as the workflow records it."""
    monkeypatch.setattr(results, "commit", lambda: "0123abc")
    folder = tmp_path / "runs/first/results"
    overlays = [provenance.ROOT / "config/overlays/demo.yaml", tmp_path / "mine.yaml"]
    results.write({"seeds": [1]}, overlays, folder)
    (folder / "tables").mkdir()
    (folder / "tables/scores.md").write_text(TABLE)
    os.utime(folder / "tables/scores.md", (86400, 86400))
    (folder / "tables/scores.csv").write_text(
        f"{','.join(results_page.COLUMNS)},statistic\n"
        "toy,vit,ig,dice,,16,0.25,0.1255,0.5,mean\ntoy,vit,ig,dice,,16,0.75,0.5,1,auroc\n"
    )
    summary = {"dataset": ["toy"], "row": ["total"], "metric": ["images"], "value": [16]}
    pd.DataFrame(summary).to_csv(folder / "tables/dataset_summary.csv", index=False)
    return tmp_path / "runs"


@pytest.fixture
def page(tmp_path):
    """A page with places for two tables, of which one has a run."""
    file = tmp_path / "results.md"
    file.write_text(PAGE)
    return file


def test_a_table_takes_its_place_with_the_name_of_its_run(page, runs):
    """The earlier table goes; overlays, images, day, revision and machine stand above the new."""
    results_page.fill(page, runs)
    start, _, rest = page.read_text().partition("<!-- table: first scores -->\n")
    new, _, rest = rest.partition("<!-- end -->")
    assert start == "# Results\n\nBefore.\n\n"
    assert rest.startswith("\n\nBetween, 0.5.\n")
    assert "0.5" not in new and "| a | 0.25 |" in new
    facts = ("`first` of 1970-01-02", "config/overlays/demo.yaml", "mine.yaml", "toy 16", "0123abc")
    assert [fact for fact in (*facts, provenance.hardware()) if fact not in new] == []


def test_numbers_of_a_statistic(page, runs):
    """All rows of the statistic and no other, without the columns that have no value."""
    page.write_text(PAGE.replace("first scores", "first scores auroc"))
    results_page.fill(page, runs)
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    assert rows[0] == "| dataset | network | explainer | metric | n | value | ci_low | ci_high |"
    assert rows[2:] == ["| toy | vit | ig | dice | 16 | 0.750 | 0.500 | 1.000 |"]


def test_a_table_without_a_run_stays(page, runs):
    """The earlier table stays, and one sentence names the file that is missing."""
    (sentence,) = results_page.fill(page, runs)
    assert "Earlier table of a run that is gone." in page.read_text()
    assert "absent/results/tables/scores.md" in sentence and "keeps" in sentence


def test_filling_twice_changes_nothing_more(page, runs):
    """A filled page is its own result."""
    results_page.fill(page, runs)
    first = page.read_text()
    results_page.fill(page, runs)
    assert page.read_text() == first


def test_a_mark_without_an_end_changes_nothing(page, runs):
    """A table does not take the place of the text up to the end of another."""
    broken = PAGE.replace("<!-- end -->\n\nBetween", "Between")
    page.write_text(broken)
    with pytest.raises(InputError, match="1 of 2"):
        results_page.fill(page, runs)
    assert page.read_text() == broken


def test_status_of_the_command(page, runs):
    """The command fails with one sentence where a table stays, and not where all are filled."""
    command = [sys.executable, "-m", "segxai.exports.results_page", page, runs]
    stopped = subprocess.run(command, cwd=provenance.ROOT, capture_output=True, text=True)
    assert stopped.returncode == 1 and len(stopped.stderr.splitlines()) == 1
    page.write_text(PAGE[: PAGE.index("<!-- table: absent")])
    subprocess.run(command, cwd=provenance.ROOT, check=True)
    assert "0.25" in page.read_text()


def test_run_is_recorded(runs):
    """The record of a run has the keys that the page needs, and no folder of the machine."""
    run = json.loads((runs / "first/results/run.json").read_text())
    assert run == {
        "overlays": ["config/overlays/demo.yaml", "mine.yaml"],
        "revision": "0123abc",
        "machine": provenance.hardware(),
    }
