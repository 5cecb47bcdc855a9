"""The page: every declared table is printed from its numbers, with all that stands beside them."""

import copy
import dataclasses
import io
import json
import re
import runpy
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from jinja2 import StrictUndefined, Template, UndefinedError
from PIL import Image

from segxai.figures.examples import write_examples
from segxai.job.files import write_table
from segxai.page import page
from segxai.page.gallery import browse
from segxai.page.tables import (
    all_numbers,
    arrange,
    comparisons,
    normalise,
    with_verdicts,
    within_rows,
)
from segxai.stats.dataset_summary import summarise
from segxai.stats.guidelines import COLUMNS
from tests.unit import toy_study
from tests.unit.toy_study import SPEC

DESCRIBED = (SPEC["titles"], SPEC["names"])


def shown(name: str) -> dict:
    """Arrange one of the toy tables."""
    table = with_verdicts(normalise(toy_study.make_tables()[name]), toy_study.make_claims())
    return arrange(table, SPEC["tables"][name], *DESCRIBED)


def compared(name: str, tests: pd.DataFrame, **changes) -> list[tuple[str, str]]:
    """Compare the rows of one of the toy tables."""
    table = normalise(toy_study.make_tables()[name].assign(**changes))
    described = (SPEC["tables"][name], *DESCRIBED)
    return comparisons(table, normalise(tests), *described, SPEC["directions"])


def judged() -> pd.DataFrame:
    """Judge two explainers: within two passes Grad-CAM is recommended, within one none is."""
    shared = {"dataset": "toy", "network": "resnet50", "goal": "faithful", "control": "gradcam"}
    rows = [
        {"budget": budget, "explainer": name, "passes": passes, "gain": 0.25, "reason": ""}
        | {"admissible": int(passes <= budget), "recommended": int(passes <= budget)}
        for budget in (1, 2)
        for name, passes in (("gradcam", 2), ("shap", 50))
    ]
    table = pd.DataFrame([shared | row for row in rows], columns=COLUMNS)
    return table.assign(ci_low=0.125, ci_high=0.5)


def write_page(folder, checkout, spec=SPEC) -> str:
    """Write what the rules before the page write, and return the page."""
    files = {"tables": toy_study.make_tables(), "tests": toy_study.make_tests()}
    for name, table in files["tables"].items():
        write_table(folder / f"{name}.csv", table)
        write_table(folder / f"{name}_tests.csv", files["tests"][name])
    write_table(folder / "claims.csv", toy_study.make_claims())
    samples = pd.DataFrame({"image_id": ["a", "b"], "group": ["a", "b"], "split": "train"})
    samples = samples.assign(label="x", mask_pixels=4, mask_resized=0)
    definition = {"analysis_size": 8, "classes": ["x", "y"], "licence": "CC0", "citation": "doi:1"}
    rejected = pd.DataFrame(columns=["file", "reason"])
    nothing = pd.DataFrame(columns=["paper", "table", "dataset", "row", "metric", "value", "unit"])
    counted = summarise("toy", definition, samples, rejected, None, 2, nothing, nothing)
    write_table(folder / "dataset_summary.csv", counted)
    for study in SPEC["studies"]:
        files = folder / f"{study}.npz", folder / f"{study}_examples.csv"
        write_examples(toy_study.make_examples(study), *files)
    write_table(folder / "which.csv", judged())
    picture = io.BytesIO()
    Image.new("RGB", (9, 9)).save(picture, "PNG")
    (folder / "curves.png").write_bytes(picture.getvalue())
    runpy.run_path(str(checkout / "scripts" / "write_report.py"))["main"](
        tables=[folder / f"{name}.csv" for name in SPEC["tables"]],
        tests=[folder / f"{name}_tests.csv" for name in SPEC["tables"]],
        guidelines=[folder / "which.csv"],
        claims=folder / "claims.csv",
        summary=folder / "dataset_summary.csv",
        arrays=[folder / f"{study}.npz" for study in SPEC["studies"]],
        examples=[folder / f"{study}_examples.csv" for study in SPEC["studies"]],
        figures=[folder / "curves.png"],
        captions=sorted((checkout / "report").glob("*.rst")),
        texts=[checkout / "segxai" / "page" / f"page.{kind}" for kind in ("html.j2", "css", "js")],
        spec=spec,
        page=folder / "report.html",
    )
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(tmp_path_factory, checkout):
    """Return the page of both toy studies."""
    return write_page(tmp_path_factory.mktemp("page"), checkout)


class Reader(HTMLParser):
    """Collects the ids, links and text of a page, and checks that its elements close in order."""

    VOID = ("meta", "br", "img", "input", "link")

    def __init__(self, html):
        super().__init__()
        self.open, self.ids, self.links, self.text = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)


def test_table_is_arranged_by_data_set_and_declared_value():
    """Rows and titled values of the first split, in their order, with interval and verdict."""
    table = shown("variants")
    assert (table["columns"], table["split"]) == (["Dice %", "n"], "all")
    ((title, rows),) = table["groups"]
    assert title == "Toy"
    assert [row for row, _ in rows] == list(toy_study.SEGMENTERS.values())
    cells = [cell for _, (cell, _) in rows]
    # n is sorted by, and has no interval.
    assert [(n["value"], n["sort"], n["interval"]) for _, (_, n) in rows] == [("15", "15", "")] * 3
    assert [cell["value"] for cell in cells] == ["40.0", "60.2", "–"]
    assert cells[1]["interval"] == "59.2 to 61.2"
    assert (cells[1]["published"], cells[1]["verdict"]) == ("paper 61.0 ✓", "reproduced")
    ((_, rows),) = shown("alignment")["groups"]
    values = [(row, [cell["value"] for cell in cells]) for row, cells in rows]
    assert values == [
        ("ResNet-50 SHAP", ["0.250", "0.500", "15"]),
        ("DenseNet-121 Grad-CAM", ["0.250", "0.750", "15"]),
    ]


def test_best_row_is_compared_with_the_next():
    """The paired test is turned to best − next; a row without a value is left out."""
    ((title, line),) = compared("variants", toy_study.make_tests()["variants"])
    assert title == "Toy"
    assert line.startswith("Dice %: Method B leads with 60.2 (59.2 to 61.2; n = 15)")
    assert "next is Method A, difference +20.0 (+15.0 to +25.0) on the 14 images of both" in line
    assert line.endswith("p = 0.004.")


def test_comparison_without_a_difference_or_a_test():
    """A high p shows no difference; without a test the next row's own number; no best of equals."""
    test = toy_study.make_tests()["variants"]
    ((_, line),) = compared("variants", test.assign(p_holm=0.2))
    assert line.endswith("p = 0.200, no difference shown.")
    ((_, line),) = compared("variants", test.iloc[:0])
    assert line.endswith("next is Method A, with 40.0 (39.0 to 41.0).")
    assert compared("variants", test, value=np.nan) == []
    assert compared("variants", test, value=1.0) == []


def test_tests_within_rows_are_counted():
    """Views of one row, and correct against incorrect, by side and Holm's p; pairs of rows not."""
    pair = toy_study.make_tests()["variants"].iloc[0].to_dict()
    views = pair | {"second_segmenter": "a", "first_view": "segx", "second_view": "relevance"}
    views |= {"effect": np.nan, "mean_difference": 0.1}
    ranks = views | {"second_view": "segx", "mean_difference": np.nan, "effect": 0.3}
    ranks |= {"first_where": "correct", "second_where": "incorrect"}
    tests = pd.DataFrame([pair, views, views | {"p_holm": 0.5}, ranks])
    assert within_rows(tests, *DESCRIBED) == [
        ("Toy", "dice, segx against relevance: higher in 1, no difference shown in 1 of 2 rows."),
        ("Toy", "dice, correct against incorrect: lower in 1 of 1 rows."),
    ]
    assert within_rows(tests[:1], *DESCRIBED) == []


def test_lower_is_better_for_such_statistics():
    """AURC leads where it is lowest; what has no direction is not compared."""
    table = normalise(toy_study.make_tables()["variants"].assign(statistic="aurc"))
    spec = SPEC["tables"]["variants"]
    spec = spec | {"values": [value | {"statistic": "aurc"} for value in spec["values"]]}
    none = normalise(toy_study.make_tests()["variants"].iloc[:0])
    ((_, line),) = comparisons(table, none, spec, *DESCRIBED, {"aurc": "lower"})
    assert "Method A leads" in line
    assert comparisons(table, none, spec, *DESCRIBED, {}) == []


def test_all_numbers_leave_out_empty_columns():
    """What is sorted and filtered has every row, and no column that is empty in all of them."""
    table = normalise(toy_study.make_tables()["variants"])
    numbers = all_numbers(table)
    assert len(numbers["rows"]) == len(table)
    assert "network" not in numbers["columns"] and "segmenter" in numbers["columns"]
    assert None in numbers["rows"][2]
    assert "NaN" not in json.dumps(numbers)


def test_page_is_whole(html):
    """Elements close in order, ids are unique, links lead somewhere, nothing is loaded."""
    reader = Reader(html)
    assert reader.open == []
    assert len(set(reader.ids)) == len(reader.ids)
    assert {link[1:] for link in reader.links} <= set(reader.ids)
    assert not re.search(r"url\((?!#)|@import|fetch\(|https?://", html)


def test_titles_keep_every_character(checkout, tmp_path):
    """A title that looks like markup, a template or a script's end is text wherever it stands."""
    odd = 'a|b <i>c</i> &amp; {{ d }} </script> "e" _f_'
    spec = copy.deepcopy(SPEC)
    spec["titles"] = dict.fromkeys(spec["titles"], odd)
    for names in spec["names"].values():
        names |= {name: f"{name} {odd}" for name in names}
    for study in spec["studies"].values():
        study["title"] = odd
        for method in study["methods"].values():
            method["title"] = odd
    html = write_page(tmp_path, checkout, spec)
    reader = Reader(html)
    assert reader.open == []
    assert len([text for text in reader.text if odd in text]) > len(spec["tables"])
    (data,) = re.findall(r'id="data-browser">(.*?)</script>', html, re.S)
    assert {part["title"] for part in json.loads(data).values()} == {odd}


def test_page_holds_every_number(html):
    """Every printed cell, both studies, the captions and the claim stand on the page."""
    text = " ".join(" ".join(Reader(html).text).split())
    for name in SPEC["tables"]:
        for _, rows in shown(name)["groups"]:
            for row, cells in rows:
                assert row in text
                assert all(cell["value"] in text for cell in cells)
    for words in ("Table 1: Variants", "Masks, Maps", "Method B leads with", "1 reproduced"):
        assert words in text
    assert SPEC["tables"]["variants"]["caption"] in text
    assert "Training of the networks" in text
    assert "1 further published numbers" in text


def test_snakemakes_report_has_the_captions_of_the_page(checkout):
    """The description of a table there begins with its caption, of whichever study it is."""
    template = (checkout / "report/table.rst").read_text(encoding="utf-8")
    declared = {"maps": {"tables": {}}, "masks": {"tables": SPEC["tables"]}}
    job = SimpleNamespace(config={"studies": declared}, wildcards=SimpleNamespace(table="variants"))
    text = Template(template, undefined=StrictUndefined).render(snakemake=job).strip()
    assert text.startswith(f"{SPEC['tables']['variants']['caption']}\n\n")


def test_page_is_reproducible(tmp_path, checkout, html):
    """The same inputs give the same bytes."""
    assert write_page(tmp_path, checkout) == html


def test_page_needs_every_name():
    """A name that the template uses but nobody gives is an error, not a blank."""
    with pytest.raises(UndefinedError):
        page.render({"page.html.j2": "{{ absent }}"}, {})


def test_costs_add_up():
    """Jobs, seconds and the highest memory of each stage, the longest first."""
    jobs = pd.DataFrame({"stage": ["a", "b", "b"], "s": [1.0, 2.0, 3.0], "max_rss": [9, 5, np.nan]})
    assert page.costs(jobs) == [
        {"stage": "b", "jobs": 2, "seconds": 5.0, "memory": 5.0},
        {"stage": "a", "jobs": 1, "seconds": 1.0, "memory": 9.0},
    ]


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        (page.p_value, 0.0004, "p < 0.001"),
        (page.p_value, 0.0124, "p = 0.012"),
        (page.duration, 61, "61.0 s"),
        (page.duration, 600, "10.0 min"),
        (page.duration, 7200, "2.0 h"),
        (lambda value: page.in_unit(value, "fraction"), -0.25, "−0.250"),
        (lambda value: page.in_unit(value, "count"), 1234, "1,234"),
        (lambda value: page.signed(value, "percent"), 2.04, "+2.0"),
    ],
)
def test_numbers_are_printed_plainly(function, value, text):
    """Numbers have the decimals and the sign that suit their unit."""
    assert function(value) == text


def test_guidelines_name_who_is_recommended_or_nobody(checkout, tmp_path):
    """A line per budget: the explainer with its gain and passes, or "none here"."""
    page_text = re.sub(r"<[^>]+>", " ", write_page(tmp_path, checkout))
    assert "Which to use" in page_text and "No readers." in page_text
    assert "Grad-CAM (+0.250 [0.125, 0.500], 2 passes)" in page_text
    assert "none here" in page_text


def test_predictions_are_browsed_without_a_segmentation_too():
    """They are named by image and label, and are correct or not; nothing confines their maps."""
    examples = dataclasses.replace(toy_study.make_examples("maps"), masks={})
    shown = browse(examples, SPEC["studies"]["maps"], "Toy")
    assert (shown["predicted"], shown["refined"], shown["masks"]) == (True, False, {})
    assert [item["id"] for item in shown["items"]] == [
        f"{name} · y" for name in examples.table.image_id
    ]
    assert [item["correct"] for item in shown["items"]] == (examples.table.correct == 1).tolist()
    images = browse(toy_study.make_examples("masks"), SPEC["studies"]["masks"], "Toy")
    assert not images["predicted"] and images["items"][0]["correct"] is None
