"""What the data sets hold: counts by hand and by plain loops, beside those of others."""

import json
import re
import runpy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segxai.stats.claims import count_claims
from segxai.stats.dataset_summary import (
    COUNTED,
    LINES,
    QUANTILES,
    areas,
    arrange,
    latex_tables,
    markdown,
    printed,
    reasons,
    summarise,
)

SIZE = 10
DEFINITION = {
    "analysis_size": SIZE,
    "classes": ["a", "b"],
    "licence": "CC BY & more",
    "citation": "Doe, doi:10.1/x_y",
}
REJECTED = pd.DataFrame(
    {
        "file": ["x/1.png", "x/2.png", "x/3.png", "x/4.png", "1.3.6"],
        "reason": [
            "x/1.png: no such file; restore it or remove its counterpart.",
            "m/2_mask.png: is 640×480 pixels but its image 1,024×1024; replace either.",
            "m/3_mask.png: is 20×20 pixels but its image 50×50; replace either.",
            "list.json: the outline of a in 4.png reaches x 7, y 8.5 outside its 9×9 pixels; …",
            "1.3.6/a.dcm: cannot be read (it ends before its pixels); replace it.",
        ],
    }
)
PUBLISHED = pd.DataFrame(
    [
        ["segx", "1", "toy", "a", "images", 2, "count"],
        ["segx", "1", "toy", "a", "boxes", 7, "count"],
        ["segx", "1", "toy", "total", "images", 9, "count"],
        ["segx", "1", "other", "a", "images", 99, "count"],
    ],
    columns=["paper", "table", "dataset", "row", "metric", "value", "unit"],
)
OFFICIAL = pd.DataFrame(
    [["toy", "b", "images", 3, "list"], ["toy", "b", "boxes", 11, "list"]],
    columns=["dataset", "row", "metric", "value", "source"],
)


def samples() -> pd.DataFrame:
    """Return five images in three groups; one group lies on two sides of the split."""
    return pd.DataFrame(
        {
            "image_id": list("12345"),
            "group": ["p", "p", "q", "q", "r"],
            "split": ["train", "train", "train", "test", "validation"],
            "label": ["a", "a + b", "no finding", "b", "b"],
            "label_a": [1, 1, 0, 0, 0],
            "label_b": [0, 1, 0, 1, 1],
            "mask_pixels": [10, 20, 0, 30, 40],
            "mask_resized": [0, 1, 0, 1, 0],
        }
    )


def summary(**changes) -> pd.DataFrame:
    """Summarise the toy data set, or one that differs in something."""
    given = {"samples": samples(), "rejected": REJECTED, "patches": None, "n_found": 9}
    given |= {"published": PUBLISHED, "official": OFFICIAL} | changes
    return summarise("toy", DEFINITION, **given)


def values(table: pd.DataFrame, column="value") -> dict:
    """Return one column of a summary by row and metric."""
    return table.set_index(["row", "metric"])[column].to_dict()


def test_counts_by_hand():
    """Images, sides, groups, masks, classes and rejections are those of the toy data set."""
    counted = values(summary())
    expected = {
        ("total", "images found"): 9,
        ("total", "images"): 5,
        ("train", "images"): 3,
        ("validation", "images"): 1,
        ("test", "images"): 1,
        ("total", "groups"): 3,
        ("shared", "groups"): 1,
        ("total", "images without mask"): 1,
        ("total", "masks resized"): 2,
        ("a", "images"): 2,
        ("b", "images"): 3,
        ("no finding", "images"): 1,
        ("total", "rejected files"): 5,
    }
    assert {key: counted[key] for key in expected} == expected
    assert not [key for key in counted if key[1] == "patches"]


def test_areas_by_hand():
    """Quantiles are of the four masks that are not empty: 10, 20, 30 and 40 % of the image."""
    areas_by_row = {record["row"]: record for record in areas(samples(), SIZE)}
    assert {row: record["value"] for row, record in areas_by_row.items()} == pytest.approx(
        {"5 %": 11.5, "25 %": 17.5, "50 %": 25, "75 %": 32.5, "95 %": 38.5}
    )
    assert {(record["n"], record["n_undefined"]) for record in areas_by_row.values()} == {(4, 1)}
    empty = areas(samples().assign(mask_pixels=0), SIZE)
    assert np.isnan([record["value"] for record in empty]).all()
    assert empty[0]["n"] == 0


rows = st.lists(
    st.tuples(
        st.sampled_from("pqrs"),
        st.sampled_from(["train", "validation", "test"]),
        st.sampled_from("ab"),
        st.integers(0, SIZE**2),
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=30,
)


@given(rows)
def test_equals_plain_loops(drawn):
    """Counts and quantiles of any data set with one label each are those of plain loops."""
    columns = ["group", "split", "label", "mask_pixels", "mask_resized"]
    table = pd.DataFrame(drawn, columns=columns)
    table["image_id"] = [f"image {k}" for k in range(len(table))]
    counted = values(summary(samples=table))
    for side in ("train", "validation", "test"):
        assert counted[side, "images"] == sum(image[1] == side for image in drawn)
    for name in "ab":
        assert counted[name, "images"] == sum(image[2] == name for image in drawn)
    sides = {}
    for group, side, *_ in drawn:
        sides.setdefault(group, set()).add(side)
    assert counted["total", "groups"] == len(sides)
    assert counted["shared", "groups"] == sum(len(groups) > 1 for groups in sides.values())
    assert counted["total", "masks resized"] == sum(image[4] for image in drawn)
    assert ("no finding", "images") not in counted
    covered = [image[3] for image in drawn if image[3]]
    assert counted["total", "images without mask"] == len(drawn) - len(covered)
    for level in QUANTILES:
        area = counted[f"{level} %", "mask area"]
        expected = 100 * np.percentile(covered, level) / SIZE**2 if covered else np.nan
        assert area == pytest.approx(expected, nan_ok=True)


def test_patches_count_where_there_are_some():
    """Of a data set that is cut into patches, patches are counted by side and class."""
    patches = pd.DataFrame({"label": ["a", "a", "b"], "split": ["train", "validation", "train"]})
    counted = values(summary(patches=patches, published=PUBLISHED.iloc[:0]))
    assert counted["train", "patches"] == counted["a", "patches"] == 2
    assert counted["validation", "patches"] == counted["b", "patches"] == 1
    assert ("a", "images") not in counted


def test_unknown_groups_are_not_counted():
    """Where every image is its own group, their number is undefined and not shown; one may be."""
    alone = samples().assign(group=samples().image_id)
    table = summary(samples=alone)
    assert np.isnan(values(table)["total", "groups"])
    shown = arrange(table, {"toy": "Toy"})["lines"]
    assert LINES["total", "groups"] not in shown
    assert LINES["shared", "groups"] not in shown
    grouped = samples().assign(group=["p", "p", "q", "q", "5"])
    assert values(summary(samples=grouped))["total", "groups"] == 3


def test_reasons_are_grouped():
    """Names of files and numbers do not keep reasons apart, image and mask do."""
    assert reasons(REJECTED) == {
        "mask: is #×# pixels but its image #×#": 2,
        "image: no such file": 1,
        "image: cannot be read (it ends before its pixels)": 1,
        "mask: the outline of a in … reaches x #, y # outside its #×# pixels": 1,
    }
    assert reasons(REJECTED.iloc[:0]) == {}


def test_counts_of_others_stand_beside_ours():
    """Published and official counts meet ours; what only others count has a row without value."""
    table = summary()
    assert not table.duplicated(["row", "metric"]).any()
    grouped = table.set_index(["row", "metric"])
    total, boxes = grouped.loc[("total", "images")], grouped.loc[("a", "boxes")]
    assert (total.published, total.difference, total.table) == (9, -4, "1")
    assert np.isnan(total.official)
    assert np.isnan(boxes.value)
    assert (boxes.published, grouped.official["b", "boxes"], grouped.official["b", "images"]) == (
        7,
        11,
        3,
    )
    assert (table.dataset == "toy").all()
    assert 99 not in table.published.values
    assert grouped.text["licence", "text"] == "CC BY & more"


def test_tables_of_text():
    """Each data set has its numbers in a column, those of others beside them; LaTeX is escaped."""
    both = pd.concat([summary(), summary().assign(dataset="second")])
    arranged = arrange(both, {"toy": "Toy", "second": "Second_one"})
    assert arranged["lines"]["Images used"] == [["5", "paper 9"]] * 2
    assert arranged["lines"]["Mask area, 50 % quantile"] == [["25.00 %"]] * 2
    assert "Training patches" not in arranged["lines"]
    assert arranged["classes"][0] == {
        "Data set": "Toy",
        "Class": "a",
        "Images": "2",
        "Images, paper": "2",
        "Images, official": "",
        "Boxes, paper": "7",
        "Boxes, official": "",
    }
    assert [record["Class"] for record in arranged["classes"]] == ["a", "b", "no finding"] * 2
    assert [record["Files"] for record in arranged["rejected"]] == ["2", "1", "1", "1"] * 2
    tables = printed(arranged)
    text, tex = markdown(tables), latex_tables(tables)
    assert re.search(r"\| Images used +\| 5; paper 9 +\| 5; paper 9 +\|", text)
    assert r"Images used & 5; paper 9 & 5; paper 9 \\" in tex
    assert r"Second\_one & CC BY \& more & Doe, doi:10.1/x\_y \\" in tex
    assert tex.count(r"\begin{tabular}") == len(tables) == 4
    clean = arrange(summary(rejected=REJECTED.iloc[:0]), {"toy": "Toy"})
    assert list(printed(clean)) == ["lines", "classes", "terms"]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({}, ["reproduced", "differs", "ours is 4 lower"]),
        ({"toy": "cut"}, ["reproduced", "not comparable", "cut"]),
    ],
)
def test_verdicts_on_counts(part, expected):
    """A count is reproduced if it is the same; one of a part of the data set cannot differ."""
    verdicts = count_claims(PUBLISHED, summary(), part)
    verdicts = verdicts.set_index(["dataset", "row", "metric"])
    same, total = verdicts.loc[("toy", "a", "images")], verdicts.loc[("toy", "total", "images")]
    assert [same.verdict, total.verdict, total.reason] == expected
    boxes, other = verdicts.loc[("toy", "a", "boxes")], verdicts.loc[("other", "a", "images")]
    assert (boxes.verdict, boxes.reason) == ("not comparable", "not counted in this run")
    assert other.reason == "not part of this run"


def test_script_writes_all_three(checkout, tmp_path):
    """The CSV holds what the library gives, with the tables' numbers as text, beside the others."""
    samples().to_csv(tmp_path / "samples.csv", index=False)
    REJECTED.to_csv(tmp_path / "rejected.csv", index=False)
    (tmp_path / "patches.csv").write_text("label,split\na,train\n")
    (tmp_path / "receipt.json").write_text(json.dumps({"n_images": 9}))
    PUBLISHED.to_csv(tmp_path / "published.csv", index=False)
    OFFICIAL.to_csv(tmp_path / "official.csv", index=False)
    outputs = {kind: tmp_path / f"summary.{kind}" for kind in ("csv", "md", "tex")}
    runpy.run_path(str(checkout / "scripts" / "make_dataset_summary.py"))["main"](
        receipts=[tmp_path / "receipt.json"],
        samples=[tmp_path / "samples.csv"],
        rejected=[tmp_path / "rejected.csv"],
        patches=[tmp_path / "patches.csv"],
        published=tmp_path / "published.csv",
        official=tmp_path / "official.csv",
        definitions={"toy": DEFINITION | {"title": "Toy", "patches": None}},
        **outputs,
    )
    written = pd.read_csv(outputs["csv"], dtype={"table": str})
    pd.testing.assert_frame_equal(
        written, summary().reset_index(drop=True), check_dtype=False, rtol=1e-5
    )
    assert outputs["md"].read_text().startswith("| ")
    assert outputs["tex"].read_text().startswith(r"\begin{tabular}")


def test_known_counts_have_their_place(checkout):
    """Every published or official count is of a data set here and of a row that a summary has."""
    counts = pd.read_csv(checkout / "config" / "published" / "counts.csv", dtype={"table": str})
    official = pd.read_csv(checkout / "config" / "official_counts.csv")
    assert official.source.notna().all()
    shared = {(row, metric) for row, metric in LINES}
    for table in (counts, official):
        assert not table.duplicated(["dataset", "row", "metric"]).any()
        for record in table.itertuples():
            assert (record.row, record.metric) in shared or record.metric in COUNTED
    classes = official[~official.row.isin({row for row, _ in shared})]
    for dataset, metric in (("ham10000", "images"), ("chestx-det10", "boxes")):
        theirs, papers = (
            table[(table.dataset == dataset) & (table.metric == metric)]
            .set_index("row")
            .value.drop("total", errors="ignore")
            for table in (classes, counts)
        )
        assert theirs.to_dict() == papers.to_dict()
