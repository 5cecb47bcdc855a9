"""Tables of a study against plain loops over rows, and what becomes of undefined scores."""

import re
import runpy
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from segxai.job.files import read_scores
from segxai.job.log import InputError
from segxai.stats import tables
from segxai.stats.bootstrap import bootstrap_mean, bootstrap_weighted
from segxai.stats.classification import multilabel_scores
from segxai.stats.comparisons import compare
from segxai.stats.layout import latex, markdown, printed
from segxai.stats.recognition import recognition
from segxai.stats.selective import augrc, aurc, auroc
from segxai.stats.tests import holm
from tests.unit.reference import bootstrap_statistic

STATISTICS = {"resamples": 60, "confidence": 0.9, "seed": 3}
MEASURES = {
    "iou_original": ("iou_at", "relevance", "truth"),
    "iou_segx": ("iou_at", "segx", "truth"),
    "auitc_original": ("auitc", "relevance", "truth"),
    "auitc_segx": ("auitc", "segx", "truth"),
    "c_iou": ("iou_at", "relevance", "segmentation"),
    "c_auitc": ("auitc", "relevance", "segmentation"),
    "maximum_probability": ("maximum_probability", "", ""),
    "entropy": ("entropy", "", ""),
    "area": ("reference_fraction", "", "truth"),
    "marker_area": ("reference_fraction", "", "marker"),
    "marker_mass": ("relevance_mass", "relevance", "marker"),
}
OF_TRUTH = [name for name, measure in MEASURES.items() if measure[2] == "truth"]
AREAS = {"auroc": auroc, "aurc": aurc, "augrc": augrc}
PUBLISHED = pd.DataFrame(
    [
        ("alignment", "net", "shap", "iou_at", "segx", "truth", "all", 0.25),
        ("certainty", "net", "", "iou_at", "relevance", "segmentation", "correct", 0.5),
        ("alignment", "other", "shap", "iou_at", "segx", "truth", "all", 0.1),
    ],
    columns=[
        *("table", "network", "explainer", "metric", "view", "reference", "where", "value"),
    ],
).assign(dataset="toy", split="test", statistic="mean", unit="fraction")
ALIGNMENT = {
    "table": "alignment",
    "values": [
        {"metric": ["iou_at", "auitc"], "view": ["relevance", "segx"], "reference": "truth"}
    ],
    "tests": {
        "kind": "wilcoxon",
        "metric": ["iou_at", "auitc"],
        "reference": "truth",
        "view": ["segx", "relevance"],
    },
}
C_IOU = {"metric": "iou_at", "view": "relevance", "reference": "segmentation"}
CERTAINTY = {
    "table": "certainty",
    "values": [
        C_IOU | {"where": ["correct", "incorrect"]},
        {"statistic": "error_rate"},
        C_IOU | {"statistic": list(AREAS)},
        {"metric": ["maximum_probability", "entropy"], "statistic": list(AREAS)},
        C_IOU | {"with": "maximum_probability", "statistic": list(AREAS)},
        C_IOU | {"minus": "maximum_probability", "statistic": "auroc"},
        C_IOU
        | {"with": "maximum_probability", "minus": "maximum_probability", "statistic": "auroc"},
    ],
    "tests": {
        "kind": "mann_whitney",
        "metric": ["iou_at", "auitc"],
        "view": "relevance",
        "reference": "segmentation",
    },
}


def spec(**changes) -> dict:
    """Declare a table of one data set with a row per network and explainer."""
    declared = {"datasets": ["toy"], "rows": ["network", "explainer"], "segmenters": ["unet"]}
    declared |= {"scores": ["family"], "splits": ["test"], "unit": "fraction"}
    return declared | {"predictions": [], "study": "study"} | changes


def wide(n: int = 24, seed: int = 0) -> pd.DataFrame:
    """Make scores of n labels, two for each image, three images to a group; every fifth is wrong.

    Confidences take few values, so that ties are the rule; wrong labels have no true mask.
    """
    rng = np.random.default_rng(seed)
    number = np.arange(n)
    table = pd.DataFrame(rng.integers(0, 8, (n, len(MEASURES))) / 8, columns=list(MEASURES))
    image = [f"{k:03d}" for k in number // 2]
    table = table.assign(
        image_id=image,
        target_id=[f"{one}:{label}" for one, label in zip(image, number % 2, strict=True)],
        group=[f"g{k}" for k in number // 6],
        split="test",
        correct=(number % 5 > 0).astype(float),
        constant=0.0,
    )
    table.loc[table.correct == 0, OF_TRUTH] = np.nan
    return table


def tidy(table: pd.DataFrame, **keys) -> pd.DataFrame:
    """Write scores of one file with one row per label and score."""
    keys = {"dataset": "toy", "network": "net", "explainer": "shap", "segmenter": ""} | keys
    known = ["image_id", "target_id", "group", "split", "correct", "constant"]
    long = table.melt(known, [name for name in MEASURES if name in table], "score")
    measures = pd.DataFrame(
        long.score.map(MEASURES).tolist(), columns=["metric", "view", "reference"]
    )
    return long.drop(columns="score").join(measures).assign(**({"seed": 1} | keys))


def rows_of(scores: pd.DataFrame, declared: dict) -> tables.Rows:
    """Rows of a table of all images."""
    images = {name: set(scores.image_id) for name in declared["datasets"]}
    return tables.table_rows(scores, images, declared)


def make(scores: pd.DataFrame, declared: dict) -> pd.DataFrame:
    """Make a tidy table."""
    table = tables.summarise(rows_of(scores, declared), declared, STATISTICS)
    return table.assign(study="study", table=declared["table"])


def cell(table: pd.DataFrame, **keys) -> pd.Series:
    """Return the only row of a table with some keys; those of a value default to its own."""
    keys = {"where": "all", "with": "", "minus": "", "against": ""} | keys
    (place,) = np.flatnonzero(np.logical_and.reduce([table[k] == v for k, v in keys.items()]))
    return table.iloc[place]


@pytest.mark.parametrize("missing", [False, True])
def test_constant_maps_are_counted_and_stay_in_the_mean(missing):
    """Each number has the count of its constant maps, in the printed form too.

    The mean is that of all scores; a score of no map counts none.
    """
    scores = tidy(wide())
    of_map = scores["view"] == "relevance"
    constant = scores.target_id.isin(scores.target_id.unique()[:7])
    scores["constant"] = constant.astype(float).where(of_map)
    if missing:
        scores.loc[of_map, "value"] = np.nan
    other = {"metric": "maximum_probability"}
    declared = spec(table="flat", values=[C_IOU, other, C_IOU | {"minus": "maximum_probability"}])
    table = make(scores, declared)
    assert table.n_constant.tolist() == [7, 0, 7]
    own = scores[of_map & (scores.metric == "iou_at") & (scores.reference == "segmentation")]
    assert table.value[0] == pytest.approx(own.value.mean(), nan_ok=True)
    lines = printed(table.assign(published=np.nan), declared, {"toy": "Toy"}, {}).iloc[0]
    marked = ["; 7 constant maps" in text for name, text in lines.items() if name != "Toy, n"]
    # A mean of no image is not printed.
    assert marked == ([False, True] if missing else [True, False, True])


def pairwise(confidence, correct) -> float:
    """AUROC by comparing every right prediction with every wrong one."""
    pairs = list(product(confidence[correct == 1], confidence[correct == 0]))
    return sum((a > b) + (a == b) / 2 for a, b in pairs) / len(pairs)


def test_weights_count_predictions():
    """Each area with weights is that of the predictions repeated, 0 times and ties included."""
    rng = np.random.default_rng(0)
    confidence, correct = rng.integers(0, 5, 14) / 4, rng.random(14) < 0.6
    weights = rng.integers(0, 4, (30, 14))
    weights[0] = 0
    weights[1, ~correct] = 0
    for area in (auroc, aurc, augrc):
        areas = area(confidence, correct, weights)
        assert areas.shape == (30,)
        for weighted, times in zip(areas, weights, strict=True):
            expected = area(confidence.repeat(times), correct.repeat(times))
            assert weighted == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert np.isnan(auroc(confidence, correct, weights)[:2]).all()


@pytest.mark.filterwarnings("error")
def test_weighted_bootstrap_is_the_bootstrap():
    """Statistics of weights have the value and interval that resampled rows give, one by one."""
    rng = np.random.default_rng(1)
    confidence, correct = rng.random(40), rng.random(40) < 0.8
    groups = rng.integers(0, 9, 40)

    def measured(weights):
        mean = weights @ confidence / weights.sum(axis=1)
        nothing = np.full(len(weights), np.nan)
        return np.stack([auroc(confidence, correct, weights), mean, nothing], axis=1)

    intervals = np.transpose(bootstrap_weighted(measured, groups, 300, 0.9, 5))
    expected = bootstrap_statistic(auroc, (confidence, correct), groups, 300, 0.9, 5)
    np.testing.assert_allclose(intervals[0], expected)
    np.testing.assert_allclose(intervals[1], bootstrap_mean(confidence, groups, 300, 0.9, 5))
    assert np.isnan(intervals[2]).all()


def test_a_mean_is_that_of_its_own_scores():
    """Each mean is that of its own score where defined, with the interval by groups."""
    table = wide()
    summary = tables.beside_published(make(tidy(table), spec(**ALIGNMENT)), PUBLISHED)
    assert set(summary.columns) == set(tables.COLUMNS)
    for name in ("iou_original", "iou_segx", "auitc_original", "auitc_segx"):
        metric, view, reference = MEASURES[name]
        kept = [value for value in table[name] if value == value]
        mean = cell(summary, metric=metric, view=view, reference=reference, statistic="mean")
        assert mean.value == pytest.approx(sum(kept) / len(kept))
        assert (mean.n, mean.n_undefined) == (19, 5)
        bounds = bootstrap_mean(table[name], table.group, **STATISTICS)[1:]
        assert (mean.ci_low, mean.ci_high) == bounds
    assert summary.published.notna().sum() == 1
    known = cell(summary, metric="iou_at", view="segx")
    assert (known.published, known.difference) == (0.25, known.value - 0.25)
    assert set(summary.split) == {"test"}


def test_only_the_studys_images_and_subset_count():
    """Rows of other subsets, and of images that the study does not ask for, change nothing."""
    table = tidy(wide())
    other = tidy(wide(8, seed=9).assign(split="train", image_id="x", target_id=list("abcdefgh")))
    more = tidy(wide(2, seed=8).assign(image_id="y", target_id=list("ij")))
    both = pd.concat([table, other, more], ignore_index=True)
    images = {"toy": {*table.image_id, "x"}}
    for declared in (spec(**ALIGNMENT), spec(**CERTAINTY)):
        rows = tables.table_rows(both, images, declared)
        summary = tables.summarise(rows, declared, STATISTICS)
        alone = tables.summarise(rows_of(table, declared), declared, STATISTICS)
        pd.testing.assert_frame_equal(summary, alone)


def test_subsets_of_a_data_set():
    """Of several declared subsets a table has those with images, of a single one always its own."""
    scores = tidy(wide().assign(split=lambda t: np.where(t.index < 8, "train", "validation")))
    declared = spec(**ALIGNMENT | {"splits": ["all", "train", "validation", "test"]})
    summary = make(scores, declared)
    assert list(summary.split.unique()) == ["all", "train", "validation"]
    assert list(summary.n[summary.metric == "auitc"].unique()) == [19, 6, 13]
    assert make(scores, spec(**ALIGNMENT)).n.eq(0).all()


def test_rows_of_segmenters_average_an_image_over_seeds():
    """In percent, in the declared order; the mean of an image's defined scores counts once."""
    first, second = (wide(seed=seed).drop_duplicates("image_id") for seed in (0, 1))
    second.loc[second.index[:2], "iou_segx"] = np.nan
    keys = {"network": "", "explainer": ""}
    scores = pd.concat(
        [
            tidy(first, segmenter="b", **keys),
            tidy(second, segmenter="b", seed=2, **keys),
            tidy(first, segmenter="a", **keys),
            tidy(first, segmenter="left out", **keys),
        ]
    )
    declared = spec(**ALIGNMENT | {"rows": ["segmenter"], "segmenters": ["a", "b"]})
    summary = make(scores, declared | {"unit": "percent"})
    assert list(summary.segmenter.unique()) == ["a", "b"]
    mean = cell(summary, segmenter="b", metric="iou_at", view="segx")
    averages = pd.concat([first, second]).groupby("image_id").iou_segx.mean()
    assert mean.value == pytest.approx(100 * averages.mean())
    assert (mean.n, mean.n_undefined) == (averages.notna().sum(), averages.isna().sum())


def test_a_row_has_what_does_not_depend_on_its_keys():
    """Scores of no segmentation belong to each segmentation's row, which subtracts them."""
    table = wide()
    doses = [tidy(table[[*table.columns[11:], "iou_segx"]], segmenter=s) for s in ("d0", "d4")]
    alone = tidy(table.drop(columns=["iou_segx"]))
    value = {"metric": "iou_at", "view": "segx", "reference": "truth"}
    declared = spec(
        table="doses",
        rows=["network", "explainer", "segmenter"],
        segmenters=["d4", "d0"],
        values=[value | {"minus": {"view": "relevance"}}],
    )
    summary = make(pd.concat([*doses, alone], ignore_index=True), declared)
    assert list(summary.segmenter) == ["d4", "d0"]
    gain = cell(summary, segmenter="d0", statistic="difference", minus="relevance")
    gaps = (table.iou_segx - table.iou_original).dropna()
    assert gain.value == pytest.approx(gaps.mean())
    assert gain.n == 19
    dose = {"title": "", "role": "dose", "kind": "erode"}
    damaged = tables.with_doses(summary, {"d0": dose | {"radius": 0}, "d4": dose | {"radius": 4}})
    assert list(damaged.radius) == [4, 0]
    assert "radius" not in tables.with_doses(summary, {})


def test_a_row_of_several_explainers_is_refused():
    """Rows that leave out a key must have one name for it."""
    both = pd.concat([tidy(wide()), tidy(wide(), explainer="gradcam")])
    with pytest.raises(InputError, match=r"several explainers \(shap, gradcam\); add explainer"):
        rows_of(both, spec(**ALIGNMENT | {"rows": ["network"]}))


def test_a_value_that_nobody_measures_is_refused():
    """A value of no score file, or what it is compared with, is one sentence; no score is none."""
    for value in (C_IOU | {"view": "smoothed"}, C_IOU | {"minus": {"view": "smoothed"}}):
        declared = spec(table="certainty", values=[value])
        with pytest.raises(InputError, match="iou_at smoothed segmentation, which family"):
            rows_of(tidy(wide()), declared)
    assert rows_of(tidy(wide()).iloc[:0], declared) == []


def test_paired_tests_are_wilcoxons():
    """Two views are paired by label; Holm's family is a data set and metric."""
    shap, cam = wide(), wide(seed=1)
    declared = spec(**ALIGNMENT | {"datasets": ["toy", "b"]})
    scores = [tidy(shap), tidy(cam, explainer="cam"), tidy(cam, dataset="b")]
    tests = compare(rows_of(pd.concat(scores), declared), declared, {}, STATISTICS)
    assert list(tests.metric) == ["iou_at"] * 2 + ["auitc"] * 2 + ["iou_at", "auitc"]
    assert list(tests.first_explainer[:2]) == list(tests.second_explainer[:2]) == ["shap", "cam"]
    assert (set(tests.first_view), set(tests.second_view)) == ({"segx"}, {"relevance"})
    kept = shap[shap.correct == 1]
    gap = (kept.auitc_segx - kept.auitc_original).to_numpy()
    test = tests.iloc[2]
    assert (test.n, test.p) == (19, scipy_stats.wilcoxon(gap).pvalue)
    bounds = bootstrap_mean(gap, kept.group, **STATISTICS)
    assert (test.mean_difference, test.ci_low, test.ci_high) == pytest.approx(bounds)
    np.testing.assert_allclose(tests.p_holm[2:4], holm(tests.p[2:4].to_numpy()))
    np.testing.assert_array_equal(tests.p_holm[4:], tests.p[4:])


@pytest.mark.parametrize(
    ("pairs", "expected"), [("all", ["ab", "ac", "bc"]), ("first", ["ab", "ac"])]
)
def test_pairs_of_rows(pairs, expected):
    """All pairs, or the first row with each other one, of segmenters of the declared roles."""
    scores = [
        tidy(wide(seed=k).drop_duplicates("image_id"), segmenter=name, network="", explainer="")
        for k, name in enumerate("abcd")
    ]
    kind = {"kind": "wilcoxon", "metric": "iou_at", "reference": "truth", "view": "segx"}
    kind |= {"pairs": pairs, "roles": ["variant"]}
    declared = spec(**ALIGNMENT | {"rows": ["segmenter"], "segmenters": list("abcd")})
    declared |= {"tests": kind, "unit": "percent"}
    roles = {name: {"role": "control" if name == "d" else "variant"} for name in "abcd"}
    tests = compare(rows_of(pd.concat(scores), declared), declared, roles, STATISTICS)
    assert list(tests.first_segmenter + tests.second_segmenter) == expected
    first, second = (wide(seed=k).drop_duplicates("image_id").iou_segx for k in (0, 1))
    assert tests.mean_difference[0] == pytest.approx(100 * (first - second).mean())
    assert list(tests.p_holm) == pytest.approx(holm(tests.p.to_numpy()))


def test_certainty_of_correct_and_incorrect():
    """Means split by the prediction; undefined scores are left out and counted."""
    table = wide()
    table.loc[[1, 2, 5], "c_iou"] = np.nan
    summary = tables.beside_published(make(tidy(table), spec(**CERTAINTY)), PUBLISHED)
    for where, correct in (("correct", 1), ("incorrect", 0)):
        own = table.c_iou[table.correct == correct]
        kept = [value for value in own if value == value]
        mean = cell(summary, statistic="mean", where=where)
        assert mean.value == pytest.approx(sum(kept) / len(kept))
        assert (mean.n, mean.n_undefined) == (len(kept), len(own) - len(kept))
    assert cell(summary, statistic="error_rate").value == pytest.approx(5 / 24)
    assert cell(summary, statistic="mean", where="correct").published == 0.5


def test_areas_of_each_confidence():
    """Each area is that of its own confidence, undefined ones last; so are the two gains."""
    table = wide()
    table.loc[[1, 2, 5], "c_iou"] = np.nan
    summary = make(tidy(table), spec(**CERTAINTY))
    names = {("iou_at", ""): table.c_iou.fillna(0).to_numpy()}
    for name in ("maximum_probability", "entropy"):
        names[name, ""] = table[name].to_numpy()
    ranks = [scipy_stats.rankdata(names[key, ""]) for key in ("iou_at", "maximum_probability")]
    names["iou_at", "maximum_probability"] = sum(ranks) / 2
    correct = table.correct.to_numpy()
    for (metric, other), confidence in names.items():
        keys = {"metric": metric, "with": other}
        area = {kind: cell(summary, statistic=kind, **keys) for kind in AREAS}
        assert area["auroc"].value == pytest.approx(pairwise(confidence, correct))
        assert area["augrc"].value == pytest.approx(augrc(confidence, correct))
        columns = confidence, correct
        expected = bootstrap_statistic(aurc, columns, table.group, **STATISTICS)
        found_aurc = area["aurc"]
        assert (found_aurc.value, found_aurc.ci_low, found_aurc.ci_high) == pytest.approx(expected)
        assert found_aurc.n_undefined == (3 if metric == "iou_at" else 0)
        assert found_aurc.n == 24 - found_aurc.n_undefined

    def gain(own, other, right):
        return pairwise(own, right) - pairwise(other, right) if 0 < right.mean() < 1 else np.nan

    baseline = names["maximum_probability", ""]
    for other in ("", "maximum_probability"):
        pair = (names["iou_at", other], baseline, correct)
        expected = bootstrap_statistic(gain, pair, table.group, **STATISTICS)
        keys = {"with": other, "minus": "maximum_probability", "statistic": "auroc_difference"}
        difference = cell(summary, **keys)
        numbers = difference.value, difference.ci_low, difference.ci_high
        assert numbers == pytest.approx(expected)


def test_certainty_tests_are_mann_whitneys():
    """Correct against incorrect, undefined scores left out, Holm within a data set and metric."""
    shap, cam = wide(), wide(seed=1)
    shap.loc[[1, 2, 5], "c_iou"] = np.nan
    declared = spec(**CERTAINTY)
    scores = pd.concat([tidy(shap), tidy(cam, explainer="cam")])
    tests = compare(rows_of(scores, declared), declared, {}, STATISTICS)
    test = tests.iloc[0]
    assert (test.first_where, test.second_where) == ("correct", "incorrect")
    assert (test.metric, test.n, test.n_second) == ("iou_at", 17, 4)
    kept = shap[shap.c_iou.notna()]
    assert test.effect == pytest.approx(pairwise(kept.c_iou.to_numpy(), kept.correct.to_numpy()))
    right = kept.correct == 1
    assert test.p == scipy_stats.mannwhitneyu(kept.c_iou[right], kept.c_iou[~right]).pvalue
    family = tests[tests.metric == "iou_at"]
    np.testing.assert_allclose(family.p_holm, holm(family.p.to_numpy()))


@pytest.mark.filterwarnings("error")
def test_only_correct_predictions():
    """Without an error, AUROC, its gain and the test are NaN, and counted; AURC is 0."""
    table, declared = wide().query("correct == 1"), spec(**CERTAINTY)
    summary = make(tidy(table), declared)
    undefined = [
        cell(summary, metric="iou_at", statistic="auroc", **{"with": ""}),
        cell(summary, statistic="auroc_difference", **{"with": "", "minus": "maximum_probability"}),
        cell(summary, statistic="mean", where="incorrect"),
    ]
    for number in undefined:
        assert number[["value", "ci_low", "ci_high"]].isna().all()
        assert number.n == 0
    assert undefined[0].n_undefined == 19
    area = cell(summary, metric="iou_at", statistic="aurc", **{"with": ""})
    assert area.value == area.ci_high == 0
    assert cell(summary, statistic="error_rate").value == 0
    scores = pd.concat([tidy(table), tidy(wide(seed=1), explainer="cam")])
    tests = compare(rows_of(scores, declared), declared, {}, STATISTICS)
    alone, other = (tests[tests.first_explainer == name] for name in ("shap", "cam"))
    assert alone.p_holm.isna().all()
    # A test that could not be made is not adjusted for.
    assert list(other.p_holm) == list(other.p)


@pytest.mark.filterwarnings("error")
def test_single_group():
    """One group can only be drawn whole: intervals shrink to their values."""
    summary = make(tidy(wide().assign(group="only")), spec(**CERTAINTY))
    np.testing.assert_allclose(summary.ci_low, summary.value)
    np.testing.assert_allclose(summary.ci_high, summary.value)


def test_predictions_of_two_seeds(tmp_path):
    """Predictions of seeds are pooled; an image and label is one observation of paired tests."""
    first, second = wide(), wide(seed=1)
    files = [tmp_path / f"{seed}.csv" for seed in (1, 2, 3)]
    for seed, (file, table) in enumerate(zip(files, (first, second, second.iloc[:0]), strict=True)):
        tidy(table, seed=seed).to_csv(file, index=False)
    scores = read_scores(files)
    assert scores.image_id[0] == "000"
    declared = spec(**ALIGNMENT)
    mean = cell(make(scores, declared), metric="auitc", view="segx")
    assert mean.value == pytest.approx(pd.concat([first, second]).auitc_segx.mean())
    assert mean.n == 38
    test = compare(rows_of(scores, declared), declared, {}, STATISTICS).iloc[0]
    gap = (first.iou_segx + second.iou_segx - first.iou_original - second.iou_original) / 2
    assert test.n == 19
    assert test.p == pytest.approx(scipy_stats.wilcoxon(gap.dropna()).pvalue)


@pytest.mark.filterwarnings("error")
def test_no_label_predicted():
    """A score file of no target still has its rows in every table: undefined, of no image."""
    nothing = tidy(wide().iloc[:1]).assign(image_id="", target_id="", value=np.nan, network="new")
    scores = pd.concat([nothing, tidy(wide())])
    images = {"toy": set(wide().image_id)}
    for declared in (spec(**ALIGNMENT), spec(**CERTAINTY)):
        rows = tables.table_rows(scores, images, declared)
        summary = tables.summarise(rows, declared, STATISTICS)
        empty = summary[summary.network == "new"]
        assert len(empty) == len(summary) / 2
        assert empty.value.isna().all()
        assert (empty[["n", "n_undefined"]] == 0).all(axis=None)
        assert len(compare(rows, declared, {}, STATISTICS)) == 4


def test_shortcut():
    """Shares of marked, correct predictions alone; the AUROC falls with c_iou where marked."""
    table = wide().assign(marker_area=np.where(np.arange(24) % 3 % 2 == 1, 0.1, 0))
    table.loc[1, "marker_mass"] = np.nan
    # Predictions of other classes are of neither kind.
    table.loc[21:, "marker_area"] = np.nan
    mass = {"metric": "relevance_mass", "view": "relevance", "reference": "marker"}
    declared = spec(
        table="shortcut",
        values=[
            mass | {"where": "marked"},
            C_IOU | {"where": ["marked", "unmarked"]},
            C_IOU | {"statistic": "auroc", "where": "correct", "against": "marked"},
        ],
    )
    summary = make(tidy(table), declared)
    right = table[table.correct == 1]
    marked, unmarked = right[right.marker_area > 0], right[right.marker_area == 0]
    share = cell(summary, metric="relevance_mass", where="marked")
    assert share.value == pytest.approx(np.nanmean(marked.marker_mass))
    assert share.n == len(marked) - 1
    for where, own in (("marked", marked), ("unmarked", unmarked)):
        value = cell(summary, metric="iou_at", where=where).value
        assert value == pytest.approx(own.c_iou.mean())
    both = pd.concat([marked, unmarked])
    area = cell(summary, statistic="auroc", where="correct", against="marked")
    trusted = (both.marker_area == 0).to_numpy()
    assert area.value == pytest.approx(pairwise(both.c_iou.to_numpy(), trusted))
    assert area.n == len(both) < len(right)


def predictions(n: int, seed: int) -> pd.DataFrame:
    """Make predictions of three classes for n images; the last class is absent and unpredicted."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).random((n, 3)) < [0.5, 0.3, 0]
    probability = np.round(rng.random((n, 3)), 1)
    predicted = probability > np.array([0.4, 0.7, np.nan])
    return pd.DataFrame(
        {
            "image_id": np.repeat([f"{k:02d}" for k in range(n)], 3),
            "split": np.repeat(np.where(np.arange(n) < 20, "test", "train"), 3),
            "class": np.tile(["b", "a", "c"], n),
            "probability": probability.ravel(),
            "predicted": predicted.ravel().astype(float),
            "correct": (predicted == truth).ravel().astype(float),
            "truth": truth.ravel(),
        }
    )


def matrix(table: pd.DataFrame, column: str) -> np.ndarray:
    """One column of predictions as images × classes."""
    return table[column].to_numpy().reshape(-1, 3)


def test_recognition_is_multilabel_scores():
    """For each sample, the scores of its images, repeated by their weights."""
    table = predictions(20, 1)
    probability, truth = matrix(table, "probability"), matrix(table, "truth").astype(bool)
    thresholds = np.array([0.4, 0.7, np.nan])
    weights = np.random.default_rng(3).integers(0, 4, (12, 20))
    weights[0] = weights[0] * ~truth[:, 0]
    recognised = recognition(probability, probability > thresholds, truth, weights)
    for scores, times in zip(recognised, weights, strict=True):
        repeated = probability.repeat(times, axis=0), truth.repeat(times, axis=0)
        expected = multilabel_scores(*repeated, thresholds)[["accuracy", "f1", "auroc"]]
        np.testing.assert_allclose(scores, expected.to_numpy().T, atol=1e-6)


def test_networks():
    """Scores of test images alone, macro averages and counts averaged over seeds."""
    runs = [predictions(26, seed) for seed in (1, 2)]
    table = pd.concat([run.assign(seed=k) for k, run in enumerate(runs)]).drop(columns="truth")
    groups = {"toy": pd.Series({f"{k:02d}": f"g{k // 2}" for k in range(26)})}
    predicted_values = ["accuracy", "f1", "auroc", "images", "no_predicted_label", "no_finding"]
    declared = spec(predictions=predicted_values, table="networks", rows=["network"])
    summary = tables.summarise_predictions(
        {"": table.assign(dataset="toy", network="net")}, groups, declared, STATISTICS
    )
    assert set(summary.explainer) == set(summary.segmenter) == {""}
    net = summary.set_index("metric")
    thresholds = np.array([0.4, 0.7, np.nan])
    tests = [run[run.split == "test"] for run in runs]
    for metric in ("accuracy", "f1", "auroc"):
        expected = [
            multilabel_scores(matrix(run, "probability"), matrix(run, "truth"), thresholds)
            for run in tests
        ]
        expected = np.mean([scores[metric].mean() for scores in expected])
        assert net.value[metric] == pytest.approx(expected, abs=1e-6)
        assert net.ci_low[metric] < net.value[metric] < net.ci_high[metric]
        assert net.n[metric] == 20
    assert list(net.n_undefined[:3]) == [0, 2, 2]
    silent = [(~(matrix(run, "predicted") == 1).any(axis=1)).sum() for run in tests]
    assert net.value["images"] == 20
    assert net.value["no_predicted_label"] == np.mean(silent) > 0
    assert net.value["no_finding"] == (~matrix(tests[0], "truth").any(axis=1)).sum() > 0
    assert set(net.unit[3:]) == {"count"}
    assert net.ci_low[3:].isna().all()


def test_patches_are_scored_beside_images():
    """Each window counts once, with the group of its image; data sets without have no number."""
    table = predictions(20, 1).drop(columns="truth").assign(seed=1, network="net")
    windows = table.assign(image_id=table.image_id.str[:1], y=table.image_id.str[1:].astype(int))
    windows = windows.assign(x=0, dataset="toy")
    images = pd.concat([table.assign(dataset=name) for name in ("toy", "other")])
    groups = pd.Series({f"{k:02d}": f"{k:02d}"[:1] for k in range(20)} | {"0": "0", "1": "1"})
    names = ["accuracy", "patch_accuracy", "patch_auroc"]
    summary = tables.summarise_predictions(
        {"": images, "patch_": windows},
        {"toy": groups, "other": groups},
        spec(predictions=names, table="networks", rows=["network"]),
        STATISTICS,
    )
    assert summary[summary.dataset == "toy"].metric.tolist() == names
    assert summary[summary.dataset == "other"].metric.tolist() == ["accuracy"]
    whole, patches = summary.iloc[0], summary.iloc[1]
    columns = ["value", "ci_low", "ci_high", "n"]
    # The same predictions in the same two groups.
    assert whole[columns].tolist() == patches[columns].tolist()
    assert patches.n == 20


def test_printed_for_papers():
    """Fractions have three decimals, the published value beside them; LaTeX escapes names."""
    values = [
        C_IOU | {"where": "correct", "title": "c_IoU, correct"},
        {"metric": ["entropy", "maximum_probability"], "statistic": "auroc", "title": "AUROC"},
        C_IOU,
    ]
    declared = spec(**CERTAINTY | {"values": values})
    table = tables.beside_published(make(tidy(wide()), declared), PUBLISHED)
    names = {"network": {"net": "Net"}, "explainer": {}}
    layout = printed(table, declared, {"toy": "Toy"}, names)
    number = cell(table, where="correct")
    # The areas are of all predictions, correct or not: 24 of them.
    assert list(layout.columns) == [
        *("Toy, c_IoU, correct", "Toy, n"),
        *("Toy, AUROC entropy", "Toy, AUROC maximum_probability", "Toy, n"),
    ]
    assert layout["Toy, n"].to_numpy().tolist() == [["19", "24"]]
    assert layout.loc["Net shap", "Toy, c_IoU, correct"] == (
        f"{number.value:.3f} [{number.ci_low:.3f}, {number.ci_high:.3f}]; paper 0.500"
    )
    assert r"Toy, c\_IoU, correct" in latex(layout)


def test_every_number_is_printed_with_its_n():
    """Neighbouring columns share an n only where it is the same in every row, missing maps too."""
    first, second = wide(), wide(seed=1).iloc[2:]
    first.loc[1, "auitc_original"] = np.nan
    scores = pd.concat([tidy(first), tidy(second, explainer="gradcam")])
    names = ["iou_original", "iou_segx", "auitc_original", "auitc_segx"]
    measured = [dict(zip(("metric", "view", "reference"), MEASURES[n], strict=True)) for n in names]
    values = [value | {"title": name} for value, name in zip(measured, names, strict=True)]
    declared = spec(table="alignment", values=values)
    table = make(scores, declared).assign(published=np.nan)
    layout = printed(table, declared, {"toy": "Toy"}, {})
    printed_names = ["iou_original", "iou_segx", "n", "auitc_original", "n", "auitc_segx", "n"]
    assert list(layout.columns) == [f"Toy, {name}" for name in printed_names]
    undefined = first[names].isna().sum(), second[names].isna().sum()
    expected = [[str(24 - n) for n in undefined[0]], [str(22 - n) for n in undefined[1]]]
    counts = layout["Toy, n"].to_numpy().tolist()
    assert counts == [[row[0], row[2], row[3]] for row in expected]


def test_a_mean_that_no_image_has_is_not_printed():
    """Of a data set without empty images false positives have no column; the CSV has them."""
    nothing = tidy(wide()).assign(dataset="other")
    nothing.loc[nothing.metric == "entropy", "value"] = np.nan
    values = [{"metric": name, "title": name} for name in ("maximum_probability", "entropy")]
    declared = spec(table="any", values=values, datasets=["toy", "other"])
    table = make(pd.concat([tidy(wide()), nothing]), declared).assign(published=np.nan)
    assert len(table) == 4
    layout = printed(table, declared, {"toy": "Toy", "other": "Other"}, {})
    shown = ["Toy, maximum_probability", "Toy, entropy", "Other, maximum_probability"]
    assert [name for name in layout if not name.endswith(", n")] == shown


def test_values_without_titles_are_named_by_their_keys():
    """Where no value has a title, all are printed, and none looks like another."""
    declared = spec(**CERTAINTY)
    table = tables.beside_published(make(tidy(wide()), declared), PUBLISHED)
    layout = printed(table, declared, {"toy": "Toy"}, {})
    numbers = layout.columns[layout.columns != "Toy, n"]
    assert numbers.is_unique
    assert len(numbers) == len(table)
    assert "Toy, auroc_difference iou_at relevance minus maximum_probability segmentation" in layout


def test_published_numbers_meet_ours():
    """A published number may leave the network open, not what was measured."""
    ours = make(tidy(wide()), spec(**ALIGNMENT))
    places = tables.pair(PUBLISHED, ours).place
    assert list(ours.view[places.dropna()]) == ["segx"]
    assert places.isna().tolist() == [False, True, True]
    opened = PUBLISHED.iloc[:1].drop(columns=["network", "explainer"])
    assert tables.pair(opened, ours).place.notna().all()
    assert tables.pair(PUBLISHED.iloc[:1].assign(view="relevance"), ours).place[0] == 0


@pytest.mark.parametrize("n", [24, 0])
def test_script_writes_every_form(checkout, tmp_path, n):
    """From score files to CSV, Markdown, LaTeX and tests, also where nothing was predicted."""
    PUBLISHED.to_csv(tmp_path / "published.csv", index=False)
    images = wide().drop_duplicates("image_id").assign(label="a")
    images[["image_id", "group", "split", "label"]].to_csv(tmp_path / "samples.csv", index=False)
    tidy(wide().iloc[:n]).to_csv(tmp_path / "shap.csv", index=False)
    main = runpy.run_path(str(checkout / "scripts" / "make_table.py"))["main"]
    for declared in (spec(**ALIGNMENT), spec(**CERTAINTY)):
        outputs = {kind: tmp_path / f"table.{kind}" for kind in ("csv", "md", "tex", "tests")}
        main(
            scores=[tmp_path / "shap.csv"],
            predictions=[],
            patches=[],
            samples=[tmp_path / "samples.csv"],
            published=[tmp_path / "published.csv"],
            table=declared["table"],
            spec=declared,
            titles={"toy": "Toy"},
            names={},
            segmenters={},
            statistics=STATISTICS,
            selections={"toy": [{"split": "test", "images": None, "seed": 1}]},
            **outputs,
        )
        written = pd.read_csv(outputs["csv"], keep_default_na=False, na_values={"value": ""})
        expected = make(tidy(wide().iloc[:n]), declared)
        np.testing.assert_allclose(written.value.astype(float), expected.value.astype(float))
        assert outputs["tex"].read_text().startswith(r"\begin{tabular}")
        assert outputs["md"].read_text().startswith("|" if n else "")
        assert len(pd.read_csv(outputs["tests"])) == (2 if n else 0)


ODD = [
    "a|b",
    "_a_ c_IoU",
    "5 % & more &amp;",
    "<b>x</b> < 3",
    "a\\|b\\",
    "[1](x) *y* `z`",
    "$p$ #1 ~^{}",
]
ODD += ["two\nlines", "[first", "* star", "a--b"]


def cells_of(line: str) -> list[str]:
    """Cells of a line of a Markdown table: bars that no backslash escapes part them."""
    parts = re.split(r"(?<!\\)(?:\\\\)*\|", line.strip())[1:-1]
    return [re.sub(r"\\([^A-Za-z0-9\s])", r"\1", part.strip()) for part in parts]


def test_titles_keep_every_character_in_markdown():
    """A bar, tag, formula or emphasis in a title is text: each table has its rows and columns."""
    layout = pd.DataFrame(
        [[f"{row}{column}" for column in ODD] for row in ODD], index=ODD, columns=ODD
    ).rename_axis("Method")
    head, _, *rows = map(cells_of, markdown(layout).splitlines())
    shown = [" ".join(text.split()) for text in ODD]
    assert head == ["Method", *shown]
    assert [row[0] for row in rows] == shown
    assert [len(row) for row in rows] == [len(ODD) + 1] * len(ODD)


def test_titles_keep_every_character_in_latex():
    """No special character of LaTeX is left bare, nor one that a line's end takes as its option."""
    layout = pd.DataFrame([["x"]] * len(ODD), index=ODD, columns=["a|b"]).rename_axis("Method")
    _, _, head, _, *rows, _, _ = latex(layout).splitlines()
    assert head == r"Method & a\textbar{}b \\"
    assert len(rows) == len(ODD)
    for row in rows:
        title, cell = re.split(r"(?<!\\) & ", row)
        assert cell == r"x \\"
        bare = re.sub(r"\\text[a-z]+\{\}|\\[&%$#_{}]|-\{\}-|^\{\}", "", title)
        assert not re.search(r"[&%$#_{}~^|<>\\]|--", bare), title
        assert not title.startswith(("[", "*"))
