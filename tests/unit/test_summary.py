"""What a reader wants first: each branch of the summary, and the examples that it links to."""

import runpy

import numpy as np
import pandas as pd
import pytest

from segxai.figures.examples import choose_predictions, read_examples
from segxai.page import gallery, page, summary
from segxai.stats.tables import compare

ROLES = {"variants": ["A", "B"], "controls": ["Disc"], "baselines": ["TokenCut", "MaskCut"]}
STATISTICS = {"resamples": 500, "confidence": 0.95, "seed": 1}
CLAIM = {"paper": "explainseg", "dataset": "d", "row": "B", "metric": "dice", "unit": "percent"}
CLAIM |= {"published": 43.7, "ours": 50.0, "verdict": "differs", "reason": "other weights"}
SIDE = 16


def means() -> pd.DataFrame:
    """Make the means of Table 1: B is the best."""
    table = pd.DataFrame({"row": ["A", "B", "Disc"], "value": [40.0, 50.0, 20.0], "n": 9})
    table = table.assign(ci_low=table.value - 2, ci_high=table.value + 3)
    return table.assign(dataset="d", split="all", metric="dice")


def paired() -> pd.DataFrame:
    """Make tests: B above A and TokenCut, not told from the disc, below MaskCut."""
    rows = [
        ("A", "B", -10.0, -12.0, -7.0, 0.001),
        ("B", "Disc", 3.0, -1.0, 7.0, 0.2),
        ("Ours", "TokenCut", 5.0, 4.0, 6.0, 0.01),
        ("Ours", "MaskCut", -2.0, -3.0, -1.0, 0.04),
    ]
    names = ["first", "second", "mean_difference", "ci_low", "ci_high", "p_holm"]
    return pd.DataFrame(rows, columns=names).assign(dataset="d", n=9)


def said(lines: list[dict]) -> list[tuple[str, str, str]]:
    """Return term, mark and text of each line."""
    return [(one["term"], one["mark"], one["text"]) for one in lines]


def test_best_variant_and_all_that_it_is_compared_with():
    """The lead is over the next, whichever came first in the test; others lie on three sides."""
    lines = summary.of_explainseg("d", means(), paired(), pd.DataFrame([CLAIM]), ROLES)
    assert lines[0]["row"] == "B"
    assert said(lines) == [
        ("Best", "", "B: mean Dice 50.0 % (48.0 to 53.0), n = 9"),
        (
            "Over the next",
            "above",
            "+10.0 points (+7.0 to +12.0) against A, p = 0.001, on the images of both",
        ),
        ("Beside others", "either", "B cannot be told from Disc (+3.0 points)"),
        ("Beside others", "above", "Ours is above TokenCut by 5.0 points"),
        ("Beside others", "below", "Ours is below MaskCut by 2.0 points"),
        ("Published", "differs", "50.0 % is above the published 43.7 %: differs (other weights)"),
        ("Published", "", "of 1 numbers: 1 differs"),
    ]


def test_unpublished_data_and_single_variants():
    """One variant has no next; counts are no results, and without others nothing is published."""
    claims = pd.DataFrame([CLAIM | {"unit": "count"}])
    roles = {"variants": ["B"], "controls": [], "baselines": []}
    lines = summary.of_explainseg("d", means(), paired(), claims, roles)
    assert said(lines)[1:] == [
        ("Published", "undefined", "the paper has no numbers for this data set")
    ]


def segx_tables(reached=0.5, alone=-0.3) -> dict[str, pd.DataFrame]:
    """Make Tables 3 and 4 of two rows; the second reaches a little more."""
    rows = []
    for k, row in enumerate(("net shap", "net gradcam")):
        values = {"iou@5% segx": reached + k / 10, "iou@5% original": 0.2}
        values |= {"auroc c_iou": 0.6, "auroc maximum_probability": 0.9}
        values["auroc c_iou - maximum_probability"] = alone
        rows += [{"row": row, "metric": metric, "value": value} for metric, value in values.items()]
    table = pd.DataFrame(rows).assign(dataset="d", n=30)
    table = table.assign(ci_low=table.value - 0.01, ci_high=table.value + 0.01)
    return {"segx_alignment": table, "segu_certainty": table}


def segx_lines(tables: dict, p: float = 0.001) -> list[dict]:
    """Sum up a data set of SegX with a gain of 0.3 and its p."""
    names = ["net shap", "net gradcam"]
    gains = pd.DataFrame({"first": [f"{name} segx" for name in names], "metric": "iou@5%"})
    gains = gains.assign(dataset="d", mean_difference=0.3, p_holm=p)
    none = pd.DataFrame([CLAIM])
    return summary.of_segx("d", tables, gains, none)


def test_segx_is_summed_up_by_its_best_explanation():
    """The highest IoU@5 % leads; SegU is marked by its difference to the probability."""
    lines = segx_lines(segx_tables())
    assert lines[0]["row"] == "net gradcam"
    assert said(lines) == [
        ("Best", "", "SegX of net Grad-CAM: IoU@5 % 0.600 (0.590 to 0.610), n = 30"),
        ("Over the original", "above", "+0.300 over 0.200 (0.190 to 0.210), p = 0.001"),
        (
            "SegU",
            "below",
            "AUROC of telling errors: c_IoU of net SHAP 0.600 (0.590 to 0.610), "
            "maximum probability 0.900",
        ),
        ("Published", "undefined", "the paper has no numbers for this data set"),
    ]
    assert segx_lines(segx_tables(), p=0.2)[1]["mark"] == "either"
    assert segx_lines(segx_tables(alone=0.3))[2]["mark"] == "above"


def test_segx_without_anything_to_score():
    """Undefined scores are said to be so."""
    (only,) = segx_lines(segx_tables(reached=np.nan))
    assert "no predicted label has a true mask" in only["text"]
    tables = segx_tables()
    tables["segu_certainty"] = tables["segu_certainty"].assign(value=np.nan)
    assert segx_lines(tables)[2]["text"] == "no errors, or nothing but errors, to tell"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        ([3600.0, 1800.0], "1.5 h in 2 jobs; the longest stage is a with 60.0 min"),
        ([72000.0, 0.0], "20.0 h in 2 jobs; the longest stage is a with 20.0 h"),
    ],
)
def test_cost_is_of_the_jobs_for_the_data_set(seconds, text):
    """Hours, jobs and the longest stage of one data set; those of others do not count."""
    jobs = pd.DataFrame(
        {"stage": ["a", "b", "a"], "dataset": ["d", "d", "e"], "s": [*seconds, 9.0]}
    )
    assert summary.cost(jobs, "d")["text"] == text
    assert summary.cost(jobs, "x")["text"] == "not measured"


def test_differences_have_intervals_over_groups():
    """The interval encloses the mean difference of the images that both score; groups widen it."""
    rng = np.random.default_rng(0)
    effect = np.repeat(rng.normal(0.1, 0.1, 10), 6)
    rows = [
        {"row": row, "image_id": f"{k:02d}", "group": f"{k // 6}", "iou": 0.5, "dice": value}
        for row, values in {"A": 0.5 + effect, "B": np.full(60, 0.5)}.items()
        for k, value in enumerate(values)
    ]
    scores = pd.DataFrame(rows).assign(dataset="d", split="train")
    scores.loc[0, "dice"] = np.nan
    (one,) = compare(scores, [("A", "B")], STATISTICS).to_dict("records")
    single = scores.assign(group=scores.image_id)
    (other,) = compare(single, [("A", "B")], STATISTICS).to_dict("records")
    assert one["n"] == 59
    assert one["mean_difference"] == pytest.approx(100 * effect[1:].mean())
    assert one["ci_low"] < other["ci_low"] < one["mean_difference"]
    assert one["mean_difference"] < other["ci_high"] < one["ci_high"]


def test_chosen_predictions_show_failures_of_both():
    """A third are the errors of the highest c_IoU; the others span the right ones with a truth."""
    n = 40
    scores = pd.DataFrame({"present": np.arange(n) % 2, "truth_fraction": 0.1})
    scores["iou_segx"] = np.linspace(0, 1, n)
    scores["c_iou"] = np.linspace(1, 0, n)
    scores.loc[0, "c_iou"] = np.nan
    scores.loc[1, "truth_fraction"] = 0.0
    chosen = choose_predictions(scores, 12)
    wrong = [place for place in chosen if place % 2 == 0]
    assert wrong == [2, 4, 6, 8]
    right = [place for place in chosen if place % 2]
    assert len(right) == 8
    assert {3, 5, 37, 39} <= set(right) and 1 not in right
    assert choose_predictions(scores.iloc[:0], 12).tolist() == []
    assert len(choose_predictions(scores[scores.present == 1], 12)) == 12


def test_predictions_of_two_classifiers_are_matched(checkout, tmp_path):
    """Each case has the maps and scores of those that predicted it, its own truth and mask."""
    rng = np.random.default_rng(0)
    names, classes = ["00", "NA", "02"], ["cyst", "nodule"]
    table = pd.DataFrame({"image_id": names, "split": "test", "label": "cyst + nodule"})
    table.to_csv(tmp_path / "samples.csv", index=False)
    truth = rng.integers(0, 2, (3, 2, SIDE, SIDE), np.uint8)
    masks = rng.integers(0, 2, (3, 2, SIDE, SIDE), np.uint8)
    images = rng.integers(0, 255, (3, SIDE, SIDE, 3), np.uint8)
    for name, array in {"images": images, "truth": truth, "masks": masks}.items():
        np.save(tmp_path / f"{name}.npy", array)
    predicted = {
        "one shap": [("00", "nodule"), ("NA", "cyst")],
        "two shap": [("NA", "cyst"), ("02", "nodule")],
    }
    maps = {}
    for row, pairs in predicted.items():
        maps[row] = rng.random((2, SIDE, SIDE)).astype(np.float16)
        np.save(tmp_path / f"{row}.npy", maps[row])
        scores = pd.DataFrame(pairs, columns=["image_id", "target"])
        scores = scores.assign(split="test", present=1, truth_fraction=0.1, iou_segx=[0.1, 0.2])
        names = ("iou_original", "c_iou", "c_auitc", "probability")
        scores.assign(**dict.fromkeys(names, 0.5)).to_csv(tmp_path / f"{row}.csv", index=False)
    outputs = tmp_path / "segx.npz", tmp_path / "segx.csv"
    main = runpy.run_path(str(checkout / "scripts" / "choose_segx_examples.py"))["main"]
    main(
        samples=tmp_path / "samples.csv",
        images=tmp_path / "images.npy",
        truth=tmp_path / "truth.npy",
        maps=[[tmp_path / f"{row}.npy"] for row in predicted],
        masks=[tmp_path / "masks.npy"],
        scores=[tmp_path / f"{row}.csv" for row in predicted],
        rows=list(predicted),
        models=["one", "two"],
        classes=classes,
        selection={"count": None, "seed": 1, "split": "test"},
        arrays=outputs[0],
        table=outputs[1],
    )
    found = read_examples(*outputs)
    cases = list(zip(found.table.image_id, found.table.target, strict=True))
    assert cases == [("00", "nodule"), ("NA", "cyst"), ("02", "nodule")]
    for place, (image, label) in enumerate([(0, 1), (1, 0), (2, 1)]):
        np.testing.assert_array_equal(found.images[place], images[image])
        np.testing.assert_array_equal(found.truth[place], truth[image, label])
        np.testing.assert_array_equal(found.masks["segmentation"][place], masks[image, label])
    np.testing.assert_allclose(found.table["iou_segx:one shap"], [0.1, 0.2, np.nan])
    np.testing.assert_allclose(found.table["iou_segx:two shap"], [np.nan, 0.1, 0.2])
    np.testing.assert_allclose(found.maps["one shap"][:2], 255 * maps["one shap"], atol=0.51)
    np.testing.assert_allclose(found.maps["two shap"][1:], 255 * maps["two shap"], atol=0.51)
    assert not found.maps["one shap"][2].any()


def test_explainers_without_a_sum_have_no_completeness_error():
    """Grad-CAM's maps are counted, and neither the card nor a caption speaks of an error."""
    one = {"split": "train", "label": "polyp", "target": "polyp", "completeness_error": 0.031}
    some = pd.DataFrame([one, {**one, "completeness_error": np.nan}])
    assert page.completeness(some) == pytest.approx({"n": 2, "median": 3.1, "ninety": 3.1})
    assert page.completeness(some[1:]) == {"n": 1}
    assert gallery.facts(some.iloc[0]).endswith("completeness error 3.1 %")
    assert "error" not in gallery.facts(some.iloc[1])
