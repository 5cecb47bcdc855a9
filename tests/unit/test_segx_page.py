"""What the page says of SegX and SegU: each branch of its sentences, its tables, and the page."""

import json
import re
import runpy
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from segxai.job.files import read_rows
from segxai.page import page
from segxai.page.segx_layout import arrange, cell, shared_groups, trained
from segxai.page.segx_page import NOTHING, answer, change, percent
from segxai.stats.dataset_summary import summarise

TITLES = {"ham10000": "HAM10000", "phantom-findings": "Phantom findings"}
ROWS = ["resnet50 shap", "resnet50 gradcam"]
CONFIDENCES = ["c_iou", "c_auitc", "maximum_probability", "entropy", "segmentation_confidence"]
JOINED = "auroc c_iou+maximum_probability - maximum_probability"
CARD = {
    "architecture": "resnet50.tv_in1k",
    "pretrained": True,
    "weights": None,
    "parameters": 24_000_000,
    "training": {"epochs": 100},
    "best": {"epoch": 12.0, "train_loss": 0.2, "validation_loss": 0.31, "validation_f1": 0.7},
    "seed": 1,
    "seconds": 61.5,
    "device": "cpu",
    "torch": "2.13.0",
}
STATISTICS = {"resamples": 2000, "confidence": 0.95, "seed": 1}


def record(dataset, row, metric, value, half=0.01, **facts) -> dict:
    """Make a row of a tidy table, its interval `half` wide on each side."""
    made = {"paper": "segx", "table": "3", "dataset": dataset, "split": "test", "unit": "fraction"}
    made |= {"row": row, "metric": metric, "value": value, "n": 200, "n_undefined": 3}
    made |= {"ci_low": value - half, "ci_high": value + half, "published": np.nan}
    return made | {"difference": np.nan} | facts


def alignment(dataset, row) -> list[dict]:
    """Make the rows of Table 3 of one explanation: SegX gains 0.1 and reaches half of the most."""
    values = {
        "iou@5% original": 0.1,
        "iou@5% segx": 0.2,
        "auitc original": 0.15,
        "auitc segx": 0.25,
        "iou@5% segx threshold first": 0.18,
        "auitc segx threshold first": 0.16,
        "auitc quantile original": 0.12,
        "auitc quantile segx": 0.22,
        "iou@5% ceiling": 0.3,
        "iou@5% ceiling sparse": 0.4,
        "iou segmentation": 0.6,
    }
    made = [record(dataset, row, metric, value) for metric, value in values.items()]
    if dataset == "ham10000":
        made[0] |= {"published": 0.125, "difference": -0.025}
    return made


def certainty(dataset, row) -> list[dict]:
    """Make the rows of Table 4 of one explanation: c_IoU tells errors and adds nothing."""
    names = ("c_iou correct", "c_iou incorrect", "c_auitc correct", "c_auitc incorrect")
    values = dict(zip(names, (0.3, 0.2, 0.35, 0.25), strict=True)) | {"error rate": 0.2}
    for name in [*CONFIDENCES, "c_iou+maximum_probability"]:
        values |= {f"auroc {name}": 0.7, f"aurc {name}": 0.11, f"augrc {name}": 0.08}
    values |= {"auroc c_iou - maximum_probability": -0.1, JOINED: 0.005}
    return [record(dataset, row, metric, value, table="4") for metric, value in values.items()]


def networks(dataset) -> list[dict]:
    """Make the scores of a classifier and a segmenter, and the counts of images."""
    scores = {"accuracy": 0.8, "f1": 0.7, "auroc": 0.9}
    counts = {"images": 1240, "no predicted label": 30, "no finding": 12}
    made = [record(dataset, "resnet50", metric, value) for metric, value in scores.items()]
    made += [
        record(dataset, "resnet50", metric, value, np.nan, unit="count")
        for metric, value in counts.items()
    ]
    return made + [record(dataset, "unet", metric, 0.85) for metric in ("dice", "iou")]


def doses(dataset, row) -> list[dict]:
    """Make a dose response: eroded by 8 px the gain is gone, dilation leaves some of it."""
    gains = {
        ("none", 0): (1.0, 0.3),
        ("erode", 4): (0.8, 0.1),
        ("erode", 8): (0.6, 0.005),
        ("erode", 16): (0.1, -0.2),
        ("dilate", 4): (0.9, 0.2),
        ("dilate", 8): (0.7, 0.1),
    }
    made = []
    for (kind, radius), (dice, gain) in gains.items():
        values = {"iou@5% gain": gain, "auitc gain": gain, "auroc c_iou": 0.6, "auroc c_auitc": 0.6}
        for metric, value in values.items():
            one = {"dataset": dataset, "row": row, "kind": kind, "radius": radius, "dice": dice}
            bounds = {"ci_low": value - 0.01, "ci_high": value + 0.01}
            made.append(one | {"metric": metric, "value": value, "n": 200} | bounds)
    return made


def shortcut(dataset, row) -> list[dict]:
    """Make a network that looks at the marker, of which SegX leaves nothing and SegU is blind."""
    values = {"area": 0.01, "relevance": 0.2, "relevance segx": 0.0, "top": 0.3, "top segx": 0.0}
    values = {f"marker {part}": value for part, value in values.items()}
    for name in ("c_iou", "c_auitc"):
        values |= {f"{name} marked": 0.3, f"{name} unmarked": 0.3}
    values["auroc c_iou unmarked over marked"] = 0.505
    return [record(dataset, row, metric, value) for metric, value in values.items()]


def make_tables(titles=TITLES, rows=ROWS) -> tuple[dict, dict]:
    """Make the tables of SegX and SegU, and their tests."""
    pairs = [(dataset, row) for dataset in titles for row in rows]
    tables = {
        "segx_alignment": [one for pair in pairs for one in alignment(*pair)],
        "segu_certainty": [one for pair in pairs for one in certainty(*pair)],
        "segx_networks": [one for dataset in titles for one in networks(dataset)],
        "segx_doses": [one for pair in pairs for one in doses(*pair)],
        "segx_shortcut": [one for row in rows for one in shortcut("phantom-findings", row)],
    }
    paired = {"n": 200, "mean_difference": 0.1, "p": 0.0001, "p_holm": 0.0002}
    apart = {"n_first": 160, "n_second": 40, "effect": 0.7, "p": 0.01, "p_holm": 0.02}
    tests = {
        "segx_alignment": [
            {"dataset": dataset, "metric": metric}
            | {"first": f"{row} segx", "second": f"{row} original"}
            | paired
            for dataset, row in pairs
            for metric in ("iou@5%", "auitc")
        ],
        "segu_certainty": [
            {"dataset": dataset, "metric": metric}
            | {"first": f"{row} correct", "second": f"{row} incorrect"}
            | apart
            for dataset, row in pairs
            for metric in ("c_iou", "c_auitc")
        ],
    }
    tables = {name: pd.DataFrame(made) for name, made in tables.items()}
    return tables, {name: pd.DataFrame(made) for name, made in tests.items()}


def make_claims() -> pd.DataFrame:
    """Make three verdicts on SegX's numbers, one of each kind, and one on ExplainSeg's."""
    one = {"paper": "segx", "table": "3", "dataset": "ham10000", "row": ROWS[0], "unit": "fraction"}
    one |= {"published": 0.125, "ci_low": 0.09, "ci_high": 0.11, "n": 200}
    other = {"paper": "explainseg", "table": "1", "dataset": "kvasir-seg", "row": "A"}
    return pd.DataFrame(
        [
            one | {"metric": "iou@5% original", "ours": 0.1, "verdict": "differs", "reason": "low"},
            one | {"metric": "auitc segx", "ours": 0.125, "verdict": "reproduced", "reason": "in"},
            one
            | {"metric": "iou@5% segx", "ours": 0.1, "verdict": "not comparable", "reason": "few"},
            one
            | other
            | {"metric": "miou", "ours": np.nan, "verdict": "not comparable", "reason": "absent"},
        ]
    )


def set_cell(table: pd.DataFrame, metric: str, value: float, row=ROWS[0], half=0.01, **facts):
    """Set the value and the interval of a row of a table, in place, for all data sets."""
    chosen = (table.row == row) & (table.metric == metric)
    assert chosen.any()
    facts |= {"value": value, "ci_low": value - half, "ci_high": value + half}
    for name, fact in facts.items():
        table.loc[chosen, name] = fact


@pytest.fixture
def run():
    """Return tables, tests and claims of a run of one explanation on both data sets."""
    return *make_tables(rows=ROWS[:1]), make_claims()


def said(run, part: str, dataset: str = "phantom-findings") -> list[str]:
    """Return the sentences of one part of the answer."""
    return answer(dataset, *run)["parts"][part]


def test_headline_counts_the_explanations():
    """Of two explanations one gains; SegU adds to the probability where the interval is above 0."""
    tables, tests = make_tables()
    tests["segx_alignment"].loc[0, "p_holm"] = 0.3
    tests["segx_alignment"].loc[1, "mean_difference"] = -0.1
    set_cell(tables["segu_certainty"], JOINED, 0.05)
    assert answer("ham10000", tables, tests, make_claims())["headline"] == (
        "SegX raises IoU@5 % for 1 of 2 explanations and AUITC for 1 of 2 (and lowers it for 1); "
        "SegU adds to what the probability tells of errors for 1 of 2."
    )


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({}, "SegX raises IoU@5 %: resnet50 shap +0.100, from 0.100 (0.090 to 0.110) to 0.200"),
        ({"p_holm": 0.06}, "SegX changes IoU@5 % by no more than chance gives: resnet50 shap"),
        ({"mean_difference": -0.1}, "SegX lowers IoU@5 %: resnet50 shap −0.100, from 0.100"),
        (
            {"n": 0, "mean_difference": np.nan, "p_holm": 1.0},
            "IoU@5 % is undefined, since no predicted label has a true mask: resnet50 shap.",
        ),
    ],
)
def test_gain_takes_a_significant_test(run, changes, start):
    """SegX gains or loses only by a significant test; without a true mask nothing is compared."""
    for name, value in changes.items():
        run[1]["segx_alignment"][name] = value
    assert said(run, "SegX")[0].startswith(start)


@pytest.mark.parametrize(
    ("alone", "verdict"),
    [
        (0.6, "the mask locates the finding better than the explanation"),
        (0.1, "the explanation adds localisation to the mask"),
        (0.24, "too close to what SegX gives to say"),
    ],
)
def test_mask_alone_is_weighed_against_segx(run, alone, verdict):
    """The mask alone is better, or worse, only where its interval is clear of SegX's best score."""
    set_cell(run[0]["segx_alignment"], "iou segmentation", alone)
    room, weighed = said(run, "SegX")[-2:]
    assert verdict in weighed
    assert weighed.endswith("(at best 0.250 (0.240 to 0.260)).")
    assert "cannot exceed 0.300 for an original map, nor 0.400 for SegX" in room
    assert "with 50.0 % of it" in room


@pytest.mark.parametrize(
    ("value", "start"),
    [
        (0.7, "c_IoU tells errors: resnet50 shap with AUROC 0.700 (0.690 to 0.710), p = 0.020."),
        (0.505, "That c_IoU tells errors cannot be shown: resnet50 shap with AUROC 0.505"),
        (0.4, "c_IoU misleads, being higher for errors: resnet50 shap with AUROC 0.400"),
    ],
)
def test_certainty_is_judged_by_its_interval(run, value, start):
    """c_IoU tells errors only where the interval of AUROC is clear of 0.5, on either side."""
    set_cell(run[0]["segu_certainty"], "auroc c_iou", value)
    assert said(run, "SegU")[0].startswith(start)


@pytest.mark.parametrize(("rate", "word"), [(0.0, "none"), (1.0, "all")])
def test_certainty_without_errors_is_undefined(run, rate, word):
    """Where no prediction, or every one, is wrong, there is nothing to tell, and nothing added."""
    table = run[0]["segu_certainty"]
    for metric in table.metric[table.metric.str.startswith("au")].unique():
        set_cell(table, metric, np.nan, n=0)
    set_cell(table, "error rate", rate)
    run[1]["segu_certainty"][["effect", "p", "p_holm"]] = np.nan
    text = f"has nothing to tell apart: resnet50 shap, {word} of whose 200 labels are wrong."
    assert said(run, "SegU") == [f"c_IoU {text}", f"c_AUITC {text}"]
    assert (
        "adds to what the probability tells of errors for 0 of 1"
        in (answer("ham10000", *run)["headline"])
    )


@pytest.mark.parametrize(
    ("value", "start"),
    [
        (0.05, "Joined with equal weight, SegU adds something beyond the probability (AUROC"),
        (
            0.005,
            "Joined with equal weight, SegU adds nothing beyond the probability that this run can "
            "show (AUROC",
        ),
        (-0.05, "Joined with equal weight, SegU makes the probability worse (AUROC"),
    ],
)
def test_segu_adds_only_where_the_interval_says_so(run, value, start):
    """SegU adds to the probability only where the interval of the difference lies above 0."""
    set_cell(run[0]["segu_certainty"], JOINED, value)
    alone, joined = said(run, "SegU")[-2:]
    assert joined.startswith(start)
    assert f"resnet50 shap {change(value)} (" in joined
    assert alone.startswith("Alone, c_IoU tells errors worse than maximum probability")


def test_other_confidences_stand_beside(run):
    """Explanations of the same predictions share one sentence on the other confidences."""
    tables, tests = make_tables()
    set_cell(tables["segu_certainty"], "auroc entropy", 0.81, ROWS[0])
    set_cell(tables["segu_certainty"], "auroc entropy", 0.81, ROWS[1])
    (beside,) = [
        text
        for text in answer("ham10000", tables, tests, run[2])["parts"]["SegU"]
        if "other confidences" in text
    ]
    assert "of resnet50 shap, resnet50 gradcam: maximum probability 0.700" in beside
    assert "entropy 0.810 (0.800 to 0.820)" in beside


def test_dose_names_where_the_gain_is_gone(run):
    """The gain is gone at the first dose whose interval reaches 0, and outlasts other damage."""
    assert said(run, "A worse segmentation") == [
        "resnet50 shap: the true mask gives +0.300 (+0.290 to +0.310) in IoU@5 %; this gain is "
        "gone at erosion by 8 px (Dice 0.60); it outlasts dilation by 8 px (Dice 0.70)."
    ]
    doses = run[0]["segx_doses"]
    doses.loc[doses.kind == "none", "ci_low"] = -0.1
    assert said(run, "A worse segmentation") == [
        "resnet50 shap: even the true mask gives no gain in IoU@5 % (+0.300 (−0.100 to +0.310))."
    ]


@pytest.mark.parametrize(
    ("auroc", "words"),
    [
        (0.7, "SegU shows the shortcut, c_IoU being lower with the marker"),
        (0.505, "the shortcut is not visible in SegU"),
        (0.3, "SegU is misled by it, c_IoU being higher with the marker"),
        (np.nan, "SegU cannot be asked"),
    ],
)
def test_shortcut_is_visible_in_segu_or_not(run, auroc, words):
    """SegU shows the shortcut only where the interval of AUROC lies above 0.5."""
    set_cell(run[0]["segx_shortcut"], "auroc c_iou unmarked over marked", auroc)
    explained, sure = said(run, "The planted shortcut")
    assert words in sure
    assert "resnet50 shap shows it: the marker covers 1.0 % of the image and holds 20.0 %" in (
        explained
    )
    assert "SegX removes it from the explanation and thus hides it, leaving 0.0 %" in explained


def test_shortcut_that_the_explanation_does_not_show(run):
    """Relevance no denser on the marker than elsewhere shows nothing, and SegX hides nothing."""
    set_cell(run[0]["segx_shortcut"], "marker relevance", 0.012)
    explained, _ = said(run, "The planted shortcut")
    assert explained.startswith("resnet50 shap does not show it")
    assert "hides" not in explained
    set_cell(run[0]["segx_shortcut"], "marker relevance", np.nan, n=0)
    (nothing,) = said(run, "The planted shortcut")
    assert "no prediction by the marker's class is correct with it" in nothing
    assert "The planted shortcut" not in answer("ham10000", *run)["parts"]


def test_published_numbers_have_their_verdicts(run):
    """SegX's verdicts are counted by data set, with the side of differences and the reasons."""
    assert said(run, "Published", "ham10000") == [
        "Of its 3 numbers in Tables 3 and 4, 1 are reproduced, 1 differ, 1 cannot be compared.",
        "Of those that differ, ours is higher in 0 and lower in 1.",
        "Not comparable (1): few.",
    ]
    (nothing,) = said(run, "Published")
    assert nothing.startswith("The paper has no numbers for this data set")


def test_counts_name_what_is_missing(run):
    """Images without predicted label or finding, errors and undefined scores are counted."""
    table = run[0]["segu_certainty"]
    for metric in ("c_iou correct", "c_iou incorrect"):
        set_cell(table, metric, 0.3, n_undefined=2)
    assert said(run, "Counts") == [
        "resnet50: of 1,240 test images 30 got no predicted label and 12 show no finding.",
        "resnet50 shap: 20.0 % (19.0 % to 21.0 %) of 200 predicted labels are wrong, 3 have no "
        "true mask to score against, 4 neither a segmentation nor an explanation.",
    ]


def test_run_without_any_predicted_label(run):
    """Where nothing was explained the answer says so, counts the images, and tables are blank."""
    tables, tests, _ = run
    for name in ("segx_alignment", "segu_certainty"):
        tables[name][["n", "n_undefined"]] = 0
        tables[name][["value", "ci_low", "ci_high"]] = np.nan
        for column in ("n", "n_first", "n_second"):
            if column in tests[name]:
                tests[name][column] = 0
    tests["segu_certainty"][["effect", "p", "p_holm"]] = np.nan
    tables["segx_doses"] = tables["segx_doses"].iloc[:0]
    found = answer("ham10000", *run)
    assert found["headline"] == NOTHING
    (counts,) = found["parts"].values()
    assert counts == [
        "resnet50: of 1,240 test images 30 got no predicted label and 12 show no finding."
    ]
    shown = arrange(tables, tests, TITLES)
    (_, line) = shown["segx_alignment"]["groups"][0][1][0]
    assert line[0] == [["–", "undefined"], ["–", "undefined"], []]
    assert shown["segx_doses"]["groups"] == []


def test_cells_hold_value_interval_and_paper():
    """A cell has three decimals or percent, a dash between bounds, and the paper's value."""
    one = record("ham10000", "a", "m", 0.2)
    assert cell(one) == ["0.200", "0.190–0.210"]
    assert cell(one | {"published": 0.125}) == ["0.200", "0.190–0.210", "paper 0.125"]
    assert cell(one, percent) == ["20.0 %", "19.0–21.0 %"]
    assert cell(one | {"value": -0.2, "ci_low": -0.3}, change) == ["−0.200", "−0.300 to +0.210"]
    assert cell(one | {"value": np.nan}) == ["–", "undefined"]
    assert cell(None) == []


def test_tables_are_arranged_as_the_paper_prints_them(run):
    """Data sets are groups of rows, and every line has as many cells as its heading."""
    shown = arrange(run[0], run[1], TITLES)
    for name, table in shown.items():
        assert table["groups"], name
        for _, lines in table["groups"]:
            for _, line in lines:
                assert [len(cells) for cells in line] == [len(names) for _, names in table["head"]]
    title, lines = shown["segx_alignment"]["groups"][0]
    assert (title, [row for row, _ in lines]) == ("HAM10000", ROWS[:1])
    original, refined, gain = lines[0][1][0]
    assert original == ["0.100", "0.090–0.110", "paper 0.125"]
    assert (refined[0], gain) == ("0.200", ["+0.100", "p < 0.001"])
    assert shown["segu_certainty"]["groups"][0][1][0][1][0][2][-1] == "p = 0.020"
    assert [title for title, _ in shown["segx_shortcut"]["groups"]] == ["Phantom findings"]
    assert "segx_shortcut" not in arrange(
        {name: table for name, table in run[0].items() if name != "segx_shortcut"}, run[1], TITLES
    )


def test_groups_on_both_sides_are_told():
    """Of four test images one shares its patient with a training image."""
    samples = pd.DataFrame(
        {"split": ["train", "test", "test", "test", "test"], "group": ["a", "a", "b", "c", "c"]}
    )
    assert shared_groups(samples) == 0.25
    assert shared_groups(samples.iloc[:1]) == 0


def test_training_is_summed_up():
    """The card's kept epoch and its validation scores are told, for any network."""
    assert trained(CARD) == (
        "resnet50.tv_in1k, 24,000,000 parameters, started from timm's pretrained weights; "
        "epoch 12 of at most 100 kept: validation loss 0.310, f1 0.700"
    )


class Text(HTMLParser):
    """Reads a page: what is seen, and where its links lead."""

    def __init__(self, html):
        super().__init__()
        self.seen, self.ids, self.links, self.open = [], [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        """Note identifiers and links."""
        found = dict(attributes)
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.open += [] if tag in ("meta", "img", "input", "br", "path") else [tag]

    def handle_endtag(self, tag):
        """Close the innermost element, which must be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep what is neither style nor script."""
        if self.open and self.open[-1] not in ("style", "script"):
            self.seen.append(data)


@pytest.fixture(scope="module")
def told(tmp_path_factory, checkout):
    """Return the file that the page reads of SegX, as its rule writes it."""
    root = tmp_path_factory.mktemp("segx")
    tables, tests = make_tables()
    for name, table in tables.items():
        table.to_csv(root / f"{name}.csv", index=False)
    for name, table in tests.items():
        table.to_csv(root / f"{name}_tests.csv", index=False)
    make_claims().to_csv(root / "claims.csv", index=False)
    (root / "card.json").write_text(json.dumps(CARD))
    samples = {"image_id": ["1", "2"], "group": ["a", "a"], "split": ["train", "test"]}
    pd.DataFrame(samples).to_csv(root / "samples.csv", index=False)
    (root / "rejected.csv").write_text("file,reason\n")
    definition = {"analysis_size": 64, "classes": ["nodule"]}
    run_script(checkout, "tell_segx")(
        tables=[root / f"{name}.csv" for name in tables],
        tests=[root / f"{name}_tests.csv" for name in tests],
        claims=root / "claims.csv",
        by_dataset={
            name: {
                "data": [root / "samples.csv", root / "rejected.csv"],
                "cards": [root / "card.json"] * 2,
            }
            for name in TITLES
        },
        study={
            "titles": TITLES,
            "datasets": dict.fromkeys(TITLES, definition),
            "explainers": {"shap": {"method": "gradient_shap", "samples": 50}},
            "mask_scope": "union",
            "seeds": [1],
        },
        told=root / "segx.json",
    )
    return root / "segx.json"


def run_script(checkout, name):
    """Return the main function of a script."""
    return runpy.run_path(str(checkout / "scripts" / f"{name}.py"))["main"]


def data_summary(root) -> pd.DataFrame:
    """Make the summary of two images for each data set."""
    samples = read_rows(root / "samples.csv").assign(label="nodule", mask_pixels=9, mask_resized=0)
    definition = {"analysis_size": 64, "classes": ["nodule"], "licence": "<mine>", "citation": "-"}
    nobody = pd.DataFrame(columns=["paper", "table", "dataset", "row", "metric", "unit", "value"])
    files = {"samples": samples, "rejected": read_rows(root / "rejected.csv"), "patches": None}
    known = {"n_found": 2, "published": nobody, "official": nobody}
    return pd.concat(summarise(name, definition, **files, **known) for name in TITLES)


@pytest.fixture(scope="module")
def html(told, checkout):
    """Return the page of a run of SegX alone."""
    sources = checkout / "segxai" / "page"
    summary = told.with_name("dataset_summary.csv")
    data_summary(told.parent).to_csv(summary, index=False)
    run_script(checkout, "write_report")(
        tables=[summary],
        claims=told.with_name("claims.csv"),
        told=[told],
        examples=[],
        figures=[],
        segx_figures=[],
        texts=[*sources.glob("page.*[!y]"), checkout / "docs" / "deviations-segx.md"],
        study={
            "titles": TITLES,
            "methods": {"x": "X"},
            "roles": {"variants": ["X"]},
            "pictured": ["x"],
            "headline": "x",
            "ours": "Ours",
            "rows": [],
            "pictures": {"explainseg": [], "segx": []},
            "datasets": {},
            "settings": {"statistics": STATISTICS},
        },
        page=told.with_name("report.html"),
    )
    return told.with_name("report.html").read_text()


def test_page_of_segx_alone(html, told):
    """Without ExplainSeg every sentence and cell of SegX is there, and every link leads on."""
    page_read = Text(html)
    assert page_read.open == []
    assert len(page_read.ids) == len(set(page_read.ids))
    assert {link[1:] for link in page_read.links} <= set(page_read.ids)
    text = " ".join(" ".join(page_read.seen).split())
    facts = json.loads(told.read_text())
    for one in facts["datasets"]:
        assert one["headline"] in text
        for sentences in one["parts"].values():
            assert all(sentence in text for sentence in sentences)
    for table in facts["tables"].values():
        for title, lines in table["groups"]:
            assert title in text
            for row, line in lines:
                shown = (part for cells in line for one in cells for part in one)
                assert row in text and all(part in text for part in shown)
    assert "from raw images to Tables 3 and 4, beside the numbers that the paper published." in text
    assert "<mine>" in text
    assert "Groups on several sides of the split 1 1" in text
    assert "SegX: the top 5 %" in text
    assert not re.search(r"ExplainSeg|Table 1|<script|https?://", html)


def test_claims_are_printed_in_their_unit(html):
    """Fractions of SegX have three decimals in the table of published numbers."""
    text = " ".join(" ".join(Text(html).seen).split())
    assert (
        "SegX, 3 HAM10000 resnet50 shap iou@5% original 0.125 0.100 0.090–0.110 ≠ differs" in text
    )
    assert "1 further published numbers belong to" in text


@pytest.mark.parametrize(
    ("unit", "text"), [("fraction", "0.125"), ("percent", "41.4"), ("count", "10,015")]
)
def test_numbers_have_the_decimals_of_their_unit(unit, text):
    """A fraction has three decimals, a percentage one, a count none."""
    assert (
        page.in_unit({"fraction": 0.1251, "percent": 41.44, "count": 10015.0}[unit], unit) == text
    )
